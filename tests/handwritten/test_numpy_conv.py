"""The NumPy convolution, in its grades; `taps` with many channels is in test_numpy_taps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.numpy_ops import conv2d
from layerdiff.handwritten.numpy_ops.conv_im2col import im2col

GRADES = ("loops", "im2col", "gemm", "taps")

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def cases(draw):
    """A convolution's tensors and geometry, the image at least as large as the kernel."""
    kernel_size, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 2)))
    groups = draw(st.integers(1, 3))
    span = Window(kernel_size, dilation=dilation).span
    h, w = (max(1, span[axis] - 2 * padding[axis]) + draw(st.integers(0, 5)) for axis in (0, 1))
    c_in, c_out = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    x = generator.standard_normal((draw(st.integers(1, 2)), groups * c_in, h, w))
    weight = generator.standard_normal((groups * c_out, c_in, *kernel_size))
    bias = generator.standard_normal(groups * c_out) if draw(st.booleans()) else None
    return (x, weight, bias), {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@settings(deadline=None, derandomize=True, max_examples=60)
@given(case=cases())
def test_every_grade_is_torchs_convolution(case, assert_within, conv_bound):
    """For every geometry each grade agrees with torch, and so with the others, to within rounding."""
    tensors, geometry = case
    expected = functional.conv2d(*(None if t is None else torch.from_numpy(t) for t in tensors), **geometry)
    bound = conv_bound(*tensors, **geometry)
    for grade in GRADES:
        assert_within(conv2d(*tensors, **geometry, grade=grade), expected, bound)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(case=cases())
def test_on_small_integers_all_grades_are_equal(case):
    """Where nothing is rounded the grades agree exactly, so what separates them is rounding alone."""
    (x, weight, _), geometry = case
    x, weight = np.round(4 * x), np.round(4 * weight)
    loops, *others = (conv2d(x, weight, **geometry, grade=grade) for grade in GRADES)
    for other in others:
        np.testing.assert_array_equal(loops, other)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(case=cases())
def test_the_adjoint_is_torchs_transposed_convolution(case):
    """<conv(x), y> = <x, conv^T(y)> for integers, exactly: each input is multiplied by the weights it should be."""
    (x, weight, _), geometry = case
    x, weight = np.round(4 * x), np.round(4 * weight)
    y = conv2d(x, weight, **geometry)
    probe = np.random.default_rng(0).integers(-9, 9, y.shape).astype(float)
    variable = torch.from_numpy(x).requires_grad_()
    functional.conv2d(variable, torch.from_numpy(weight), **geometry).backward(torch.from_numpy(probe))
    assert (y * probe).sum() == (x * variable.grad.numpy()).sum()


@pytest.mark.parametrize("grade", GRADES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_keeps_the_dtype_and_its_arguments(grade, dtype, kernel_size):
    """Nothing is widened, and neither image nor weight nor bias is written to."""
    generator = np.random.default_rng(0)
    tensors = [
        generator.standard_normal(shape).astype(dtype)
        for shape in ((1, 2, 5, 4), (3, 2, kernel_size, kernel_size), (3,))
    ]
    before = [tensor.copy() for tensor in tensors]
    y = conv2d(*tensors, stride=2, padding=kernel_size // 2, grade=grade)
    assert y.dtype == dtype
    assert (y.transpose(0, 2, 3, 1) if grade == "taps" else y).flags.c_contiguous
    for tensor, copy in zip(tensors, before, strict=True):
        np.testing.assert_array_equal(tensor, copy)


def test_the_definition_accumulates_in_float32():
    """The sum 2^24 + 1 + 1, taken in order, loses its ones in float32: sums held in float64 would keep them."""
    x = np.array([2.0**24, 1, 1], dtype=np.float32).reshape(1, 1, 1, 3)
    y = conv2d(x, np.ones((1, 1, 1, 3), dtype=np.float32), grade="loops")
    assert y.item() == 2.0**24


def test_takes_views_of_any_strides():
    """An image that is a transposed view gives what its contiguous copy gives."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2, 6, 5, 3)).transpose(0, 3, 1, 2)
    for shape in ((4, 3, 1, 1), (4, 3, 3, 2)):
        weight = generator.integers(-3, 3, shape).astype(float)
        x = np.round(4 * x)
        for grade in GRADES:
            np.testing.assert_array_equal(
                conv2d(x, weight, grade=grade), conv2d(np.ascontiguousarray(x), weight, grade=grade)
            )


def test_an_empty_batch_gives_an_empty_batch():
    """No images in, no images out, in the right shape."""
    for grade in GRADES:
        assert conv2d(np.zeros((0, 2, 5, 5)), np.zeros((4, 2, 3, 3)), grade=grade).shape == (0, 4, 3, 3)


def test_a_patch_is_a_row_in_the_order_of_a_kernel():
    """Row 0 of the patch matrix is the first window, channel by channel, row by row."""
    x = np.arange(2 * 3 * 3, dtype=float).reshape(1, 2, 3, 3)
    patches = im2col(x, Window((2, 2)))
    assert patches.shape == (4, 8)
    assert patches[0].tolist() == [0, 1, 3, 4, 9, 10, 12, 13]
    assert patches[3].tolist() == [4, 5, 7, 8, 13, 14, 16, 17]


X, W = np.zeros((1, 3, 8, 8)), np.zeros((4, 3, 3, 3))


@pytest.mark.parametrize(
    ("tensors", "arguments", "message"),
    [
        ((X[0], W), {}, r"not a batch of images, got shape \(3, 8, 8\), expected \(n, c, h, w\)"),
        ((X[:, :2], W), {}, "wrong number of channels, got 2, expected 3"),
        ((X, W[0]), {}, r"unusable weight, got shape \(3, 3, 3\), expected \(c_out, c_in/groups, kh, kw\)"),
        ((X, W[:, :, :0]), {}, r"unusable weight, got shape \(4, 3, 0, 3\), expected"),
        ((X, W, np.zeros(3)), {}, r"wrong shape, got bias \(3,\), expected \(4,\)"),
        ((X, W), {"groups": 2}, "channels that groups do not divide, got 3 in and 4 out, expected multiples of 2"),
        ((X, W), {"groups": 0}, "channels that groups do not divide, got 3 in and 4 out, expected multiples of 0"),
        ((X, W), {"stride": 0}, "unusable stride, got 0, expected an int or a pair of ints, at least 1"),
        ((X, W), {"padding": -1}, "unusable padding, got -1, expected an int or a pair of ints, at least 0"),
        ((X, W), {"dilation": (1, 0)}, r"unusable dilation, got \(1, 0\), expected"),
        ((X[:, :, :2], W), {}, "the padded image is smaller than the kernel, got 2x8, expected at least 3x3"),
        ((X, W), {"grade": "fast"}, "unknown grade, got 'fast', expected one of loops, im2col, gemm"),
        ((X.astype(int), W), {}, "not a floating dtype, got int64, expected float32 or float64"),
        (
            (X, W.astype(np.float32), np.zeros(4, np.float32)),
            {},
            "mixed dtypes, got weight float32, bias float32, expected float64 as x",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tensors, arguments, message):
    """One line says what is wrong, what was given and what is needed; a second one helps."""
    with pytest.raises(ValueError, match=f"^conv2d: {message}") as caught:
        conv2d(*tensors, **arguments)
    assert [note[:6] for note in caught.value.__notes__] == ["help: "]
