"""The handwritten torch pooling layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.torch_pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def cases(draw, *, dilated):
    """A pooling's arguments and an image at least as large as its window."""
    kernel_size, stride = draw(pairs), draw(st.none() | pairs)
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) if dilated else (1, 1)
    span = Window(kernel_size, dilation=dilation).span
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel_size)
    shape = 2, 3, *(max(1, span[axis] - 2 * padding[axis]) + draw(st.integers(0, 6)) for axis in (0, 1))
    arguments = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}
    return arguments | ({"dilation": dilation} if dilated else {}), shape


def negative(shape):
    """A float64 image without a positive value, in which many values are equal."""
    generator = torch.Generator().manual_seed(0)
    return -torch.randint(1, 5, shape, generator=generator).double()


@settings(deadline=None, derandomize=True, max_examples=100)
@given(case=cases(dilated=True))
def test_max_pool_is_torchs_even_on_negative_ties(case):
    """Values are equal, not near; the gradient of a value that occurs twice goes where torch sends it."""
    arguments, shape = case
    x = negative(shape).requires_grad_()
    actual, expected = MaxPool2d(**arguments)(x), functional.max_pool2d(x, **arguments)
    assert torch.equal(actual, expected)
    probe = torch.randint(-9, 9, expected.shape, generator=torch.Generator().manual_seed(1)).double()
    assert torch.equal(*(torch.autograd.grad(y, x, probe)[0] for y in (actual, expected)))


def test_max_pool_passes_nan_on():
    """A NaN is not lost in a maximum."""
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 1] = float("nan")
    assert MaxPool2d(2)(x).isnan().sum() == 1


@settings(deadline=None, derandomize=True, max_examples=100)
@given(case=cases(dilated=False), count_include_pad=st.booleans(), divisor=st.sampled_from([None, 1, 3, -2]))
def test_avg_pool_is_torchs(case, count_include_pad, divisor, assert_within, sum_bound):
    """Padding counts or does not, and what hangs over the edge in ceil mode never does, exactly as in torch."""
    arguments, shape = case
    arguments |= {"count_include_pad": count_include_pad, "divisor_override": divisor}
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected, magnitude = functional.avg_pool2d(x, **arguments), functional.avg_pool2d(x.abs(), **arguments).abs()
    assert_within(AvgPool2d(**arguments)(x), expected, sum_bound(16, magnitude))


@settings(deadline=None, derandomize=True, max_examples=100)
@given(size=st.tuples(*[st.integers(1, 9)] * 2), output_size=st.integers(1, 5) | st.tuples(*[st.integers(1, 12)] * 2))
def test_adaptive_avg_pool_is_torchs(size, output_size, assert_within, sum_bound):
    """Any size to any size, up and down, with windows that overlap."""
    x = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = functional.adaptive_avg_pool2d(x, output_size)
    magnitude = functional.adaptive_avg_pool2d(x.abs(), output_size)
    assert_within(AdaptiveAvgPool2d(output_size)(x), expected, sum_bound(sum(size), magnitude))


@pytest.mark.parametrize("layer", [MaxPool2d(2), AvgPool2d(2), AdaptiveAvgPool2d(1)])
def test_a_single_image_is_refused(layer):
    """Three axes are not taken for a batch."""
    with pytest.raises(
        ValueError, match=r"2d: not a batch of images, got shape \(3, 4, 4\), expected \(n, c, h, w\)\n"
    ):
        layer(torch.zeros(3, 4, 4))


@pytest.mark.parametrize("layer", [MaxPool2d, AvgPool2d])
def test_too_much_padding_is_refused(layer):
    """Where torch raises a RuntimeError we raise a ValueError that says the limit."""
    with pytest.raises(
        ValueError, match=r"2d: more padding than half the kernel, got \(2, 2\), expected at most \(1, 1\)\n"
    ):
        layer(3, padding=2)(torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize("layer", [MaxPool2d, AvgPool2d])
def test_an_image_smaller_than_the_window_is_refused(layer):
    """Rather than give an empty result."""
    with pytest.raises(
        ValueError, match=r"2d: the padded image is smaller than the kernel, got 2x8, expected at least 3x3"
    ):
        layer(3)(torch.zeros(1, 1, 2, 8))


def test_a_divisor_of_zero_is_refused():
    """When the layer is made, not when it is used."""
    with pytest.raises(
        ValueError, match=r"^AvgPool2d: unusable divisor_override, got 0, expected another int or None\n"
    ):
        AvgPool2d(2, divisor_override=0)


def test_an_empty_image_has_no_mean():
    """An empty image is refused rather than averaged to NaN."""
    with pytest.raises(ValueError, match=r"^AdaptiveAvgPool2d: an empty image has no mean"):
        AdaptiveAvgPool2d(1)(torch.zeros(1, 2, 0, 3))
