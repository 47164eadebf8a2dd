"""The handwritten torch convolution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.torch_conv import Conv2d, _patches

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def cases(draw):
    """A convolution's arguments and an image at least as large as its kernel."""
    kernel_size, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 2)))
    groups = draw(st.integers(1, 3))
    span = Window(kernel_size, dilation=dilation).span
    h, w = (max(1, span[axis] - 2 * padding[axis]) + draw(st.integers(0, 6)) for axis in (0, 1))
    layer = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    channels = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    return channels, layer, draw(st.booleans()), (draw(st.integers(1, 2)), channels[0], h, w)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(case=cases())
def test_is_torchs_convolution(case, assert_within, conv_bound):
    """Values and all three gradients agree with torch's for every geometry, to within rounding."""
    (c_in, c_out), arguments, has_bias, shape = case
    layer = Conv2d(c_in, c_out, **arguments, bias=has_bias).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=generator)
    x = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    geometry = {name: value for name, value in arguments.items() if name != "kernel_size"}

    expected = functional.conv2d(x, layer.weight, layer.bias, **geometry)
    actual = layer(x)
    assert_within(actual.detach(), expected.detach(), conv_bound(x, layer.weight, layer.bias, **geometry))

    probe = torch.randn(expected.shape, dtype=torch.float64, generator=generator)
    inputs = [x, *layer.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(actual, inputs, probe), torch.autograd.grad(expected, inputs, probe), strict=True
    ):
        # Sums of at most a thousand products of normal numbers: 1e-10 is a thousand times their worst rounding.
        assert_within(ours, theirs, 1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_dtype(dtype):
    """A float32 network computes in float32, a float64 one in float64."""
    layer = Conv2d(2, 3, 3, padding=1).to(dtype)
    assert layer(torch.zeros(1, 2, 4, 5, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("stride", [1, 2])
def test_a_1x1_convolution_copies_no_patches(stride):
    """What its only tap meets lies in the image itself, and the image stays what a hook saw."""
    x = torch.randn(1, 3, 5, 5)
    before = x.clone()
    assert _patches(x, Window((1, 1), (stride, stride)), 4 // stride + 1, 4 // stride + 1).data_ptr() == x.data_ptr()
    Conv2d(3, 3, 1, stride=stride)(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("bias", [True, False])
def test_tensors_and_attributes_have_torchs_names(bias):
    """State dicts are exchanged with torch's module, and attributes read the same."""
    arguments = {"kernel_size": 3, "stride": (1, 2), "padding": 1, "dilation": 2, "groups": 2, "bias": bias}
    ours, theirs = Conv2d(4, 6, **arguments), nn.Conv2d(4, 6, **arguments)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert (ours.bias is None) == (theirs.bias is None)


def test_weights_are_drawn_as_torchvision_draws_them():
    """The same seed gives the very numbers of kaiming_normal_ with fan out, and no bias."""
    torch.manual_seed(3)
    layer = Conv2d(8, 16, 3)
    torch.manual_seed(3)
    expected = nn.init.kaiming_normal_(torch.empty(16, 8, 3, 3), mode="fan_out", nonlinearity="relu")
    assert torch.equal(layer.weight, expected)
    assert not layer.bias.any()


def test_other_channels_are_refused():
    """A channels-last image is the likely cause, and the help says so."""
    with pytest.raises(ValueError, match=r"^Conv2d: wrong number of channels, got 5, expected 3\n") as caught:
        Conv2d(3, 4, 3)(torch.zeros(1, 5, 5, 3))
    assert "channels last" in caught.value.__notes__[0]


def test_a_single_image_is_refused():
    """Three axes are not taken for a batch, and the help shows how to make one."""
    with pytest.raises(
        ValueError, match=r"^Conv2d: not a batch of images, got shape \(3, 5, 5\), expected \(n, c, h, w\)\n"
    ):
        Conv2d(3, 4, 3)(torch.zeros(3, 5, 5))


def test_an_image_smaller_than_the_kernel_is_refused():
    """The padded size is what counts."""
    with pytest.raises(
        ValueError, match=r"^Conv2d: the padded image is smaller than the kernel, got 6x6, expected at le"
    ):
        Conv2d(3, 4, 7, padding=1)(torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("groups", [0, 2, 3])
def test_groups_that_do_not_divide_are_refused(groups):
    """Both numbers of channels must be multiples of groups."""
    with pytest.raises(
        ValueError, match=r"^Conv2d: channels that groups do not divide, got 3 in and 4 out, expected mul"
    ):
        Conv2d(3, 4, 3, groups=groups)
