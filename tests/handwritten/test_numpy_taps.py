"""Convolution in grade `taps`: products for each tap, channels last in memory, there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten import numpy_resnet
from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.numpy_ops import conv2d, conv_taps
from layerdiff.handwritten.numpy_ops._arrays import channels_last
from layerdiff.handwritten.optimisers import SGD
from layerdiff.handwritten.tape import Tape
from layerdiff.handwritten.training import NumpyLearner

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@pytest.fixture(params=["any", "thin"])
def channels(request, monkeypatch):
    """Whether a product is made for each tap however few the channels are, or another grade stands in for it."""
    if request.param == "any":
        monkeypatch.setattr(conv_taps, "_THIN", 1)


def integers(generator, *shape):
    """Small ones, so that no sum of their products is rounded."""
    return generator.integers(-9, 10, shape).astype(float)


@st.composite
def convolutions(draw):
    """Tensors of integers and geometry; a tap may see nothing but padding, and a pixel no tap."""
    kernel_size, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 4), st.integers(0, 2)))
    groups = draw(st.integers(1, 3))
    span = Window(kernel_size, dilation=dilation).span
    h, w = (max(1, span[axis] - 2 * padding[axis]) + draw(st.integers(0, 4)) for axis in (0, 1))
    c_in, c_out = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    x = integers(generator, draw(st.integers(1, 3)), groups * c_in, h, w)
    weight = integers(generator, groups * c_out, c_in, *kernel_size)
    bias = (integers(generator, groups * c_out),) if draw(st.booleans()) else ()
    return (x, weight, *bias), {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@pytest.mark.usefixtures("channels")
@settings(deadline=None, derandomize=True, max_examples=150)
@given(case=convolutions())
def test_there_and_back_it_is_torchs_convolution(case):
    """For every geometry result and gradients are torch's; of integers exactly: no tap is left out or taken twice."""
    arguments, options = case
    with Tape() as tape:
        y = conv2d(*arguments, **options, grade="taps")
    grad = integers(np.random.default_rng(0), *y.shape)
    tensors = [torch.from_numpy(array).requires_grad_() for array in arguments]
    expected = functional.conv2d(*tensors, **options)
    np.testing.assert_array_equal(y, expected.detach())
    gradients = torch.autograd.grad(expected, tensors, torch.from_numpy(grad))
    for ours, theirs in zip(tape.gradients(y, arguments, grad), gradients, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("channels")
def test_rounding_is_that_of_a_sum(assert_within, conv_bound):
    """Of numbers that are rounded, it is torch's to within the rounding of the sums."""
    generator = np.random.default_rng(0)
    x, weight = generator.standard_normal((2, 32, 7, 6)), generator.standard_normal((8, 16, 3, 3))
    options = {"stride": 2, "padding": 1, "groups": 2}
    expected = functional.conv2d(torch.from_numpy(x), torch.from_numpy(weight), **options)
    assert_within(conv2d(x, weight, **options, grade="taps"), expected, conv_bound(x, weight, None, **options))


def test_memory_in_any_order_goes_in_and_channels_last_comes_out():
    """Shapes are torch's whatever the order in memory; arguments stay as they are, and the dtype is kept."""
    generator = np.random.default_rng(0)
    x, weight = integers(generator, 2, 16, 5, 4).astype(np.float32), integers(generator, 4, 16, 3, 3).astype(np.float32)
    copies = x.copy(), weight.copy()
    one = conv2d(x, weight, padding=1, grade="taps")
    other = conv2d(channels_last(x), channels_last(weight), padding=1, grade="taps")
    np.testing.assert_array_equal(one, other)
    assert one.dtype == np.float32
    assert one.transpose(0, 2, 3, 1).flags.c_contiguous
    for array, copy in zip((x, weight), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_the_order_of_memory_goes_through_the_whole_network():
    """Every operation on images keeps the channels last, there and back: none lays its arrays out anew."""
    network = numpy_resnet.build("resnet50", grade="taps").train()
    x = np.random.default_rng(0).standard_normal((2, 3, 33, 40), dtype=np.float32)
    with Tape() as tape:
        loss = ops.cross_entropy(network(x), np.array([1, 2]))
    images = [record.output for record in tape.records if record.output.ndim == 4]
    assert len(images) > 150
    for array in (*images, *tape.gradients(loss, images)):
        assert array.strides[1] == array.itemsize, array.shape


def test_weights_are_drawn_alike_and_stay_in_the_order_they_are_multiplied_in(tmp_path):
    """A seed gives the same values in every grade; drawn, loaded, converted or saved, channels are last in memory."""
    plain, network = (numpy_resnet.build("resnet18", grade=grade, seed=3) for grade in ("gemm", "taps"))
    for name, array in plain.state_dict().items():
        np.testing.assert_array_equal(array, network.state_dict()[name])
    network.load_state_dict(plain.state_dict())
    for one in (network, network.astype(np.float64)):
        assert one.state_dict()["layer1.0.conv1.weight"].transpose(0, 2, 3, 1).flags.c_contiguous
    np.savez(tmp_path / "state.npz", **network.state_dict())
    with np.load(tmp_path / "state.npz") as saved:
        for name, array in plain.state_dict().items():
            np.testing.assert_array_equal(array, saved[name])


def test_a_training_step_is_that_of_the_other_grades():
    """After a step in float64 every weight is that of grade `gemm` but for rounding."""
    generator = np.random.default_rng(0)
    images, labels = generator.standard_normal((4, 3, 32, 32)), np.array([1, 2, 3, 4])
    networks = {grade: numpy_resnet.build("resnet18", grade=grade).astype(np.float64) for grade in ("gemm", "taps")}
    for network in networks.values():
        learner = NumpyLearner(network, SGD(network.named_parameters(), lr=0.1, momentum=0.9))
        learner.train_step(images, labels, 0.1)
    before = numpy_resnet.build("resnet18").astype(np.float64).state_dict()
    for name, expected in networks["gemm"].named_parameters():
        actual = networks["taps"].state_dict()[name]
        moved = np.abs(expected - before[name]).max()
        # Some 60 operations there and back, none of which sums up more than 5000 terms: each may add 5000 roundings of
        # 1e-16 to the relative error, and batch norm passes on what it gets about as large as it came.
        assert np.abs(actual - expected).max() <= 2 * 60 * 5000 * 2**-53 * moved, name
        assert moved > 0, name
