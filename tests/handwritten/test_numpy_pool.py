"""The NumPy pooling operations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.numpy_ops import adaptive_avg_pool2d, avg_pool2d, max_pool2d

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


@settings(deadline=None, derandomize=True, max_examples=100)
@given(case=cases(dilated=True))
def test_max_pool_is_torchs_even_on_negative_images(case):
    """The values are equal, not near; an image without a positive value shows a padding of zeros."""
    arguments, shape = case
    x = -1 - np.random.default_rng(0).random(shape)
    expected = functional.max_pool2d(torch.from_numpy(x), **arguments)
    np.testing.assert_array_equal(max_pool2d(x, **arguments), expected)


def test_max_pool_passes_nan_on():
    """A NaN is not lost in a maximum, wherever in the window it is."""
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 1, 1] = x[0, 0, 2, 2] = np.nan
    assert np.isnan(max_pool2d(x, 2)[0, 0]).tolist() == [[True, False], [False, True]]


@settings(deadline=None, derandomize=True, max_examples=100)
@given(case=cases(dilated=False), count_include_pad=st.booleans(), divisor=st.sampled_from([None, 1, 3, -2]))
def test_avg_pool_is_torchs(case, count_include_pad, divisor, assert_within, sum_bound):
    """Padding counts or does not, and what hangs over the edge in ceil mode never does, exactly as in torch."""
    arguments, shape = case
    arguments |= {"count_include_pad": count_include_pad, "divisor_override": divisor}
    x = np.random.default_rng(0).standard_normal(shape)
    expected = functional.avg_pool2d(torch.from_numpy(x), **arguments)
    magnitude = functional.avg_pool2d(torch.from_numpy(np.abs(x)), **arguments).abs()
    assert_within(avg_pool2d(x, **arguments), expected, sum_bound(16, magnitude))


@settings(deadline=None, derandomize=True, max_examples=100)
@given(size=st.tuples(*[st.integers(1, 9)] * 2), output_size=st.integers(1, 5) | st.tuples(*[st.integers(1, 12)] * 2))
def test_adaptive_avg_pool_is_torchs(size, output_size, assert_within, sum_bound):
    """Any size to any size, up and down, with windows that overlap."""
    x = np.random.default_rng(0).standard_normal((2, 3, *size))
    expected = functional.adaptive_avg_pool2d(torch.from_numpy(x), output_size)
    magnitude = functional.adaptive_avg_pool2d(torch.from_numpy(np.abs(x)), output_size)
    assert_within(adaptive_avg_pool2d(x, output_size), expected, sum_bound(sum(size), magnitude))


POOLS = [
    pytest.param(max_pool2d, id="max_pool2d"),
    pytest.param(avg_pool2d, id="avg_pool2d"),
    pytest.param(adaptive_avg_pool2d, id="adaptive_avg_pool2d"),
]


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_dtype_and_the_image(pool, dtype):
    """Nothing is widened, and the image is not written to."""
    x = np.random.default_rng(0).standard_normal((1, 2, 7, 5)).astype(dtype)
    before = x.copy()
    assert pool(x, 2).dtype == dtype
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("pool", POOLS)
def test_what_is_no_image_is_refused(pool):
    """A single image, and integers, which have no minus infinity and no mean."""
    with pytest.raises(ValueError, match=f"^{pool.__name__}: not a batch of images, got shape"):
        pool(np.zeros((3, 4, 4)), 2)
    with pytest.raises(ValueError, match=f"^{pool.__name__}: not a floating dtype, got int64"):
        pool(np.zeros((1, 3, 4, 4), dtype=np.int64), 2)


@pytest.mark.parametrize("pool", POOLS)
def test_an_unusable_size_is_refused(pool):
    """The message is tested in test_geometry; here, that the operation's name leads it."""
    with pytest.raises(ValueError, match=rf"^{pool.__name__}: unusable (kernel|output)_size, got 0"):
        pool(np.zeros((1, 3, 4, 4)), 0)


@pytest.mark.parametrize("pool", POOLS[:2])
def test_padding_and_images_that_do_not_fit_are_refused(pool):
    """More padding than half the kernel, and an image smaller than it."""
    with pytest.raises(ValueError, match=f"^{pool.__name__}: more padding than half the kernel"):
        pool(np.zeros((1, 3, 8, 8)), 3, padding=2)
    with pytest.raises(ValueError, match=f"^{pool.__name__}: the padded image is smaller than the kernel"):
        pool(np.zeros((1, 3, 2, 8)), 3)


def test_a_divisor_of_zero_is_refused():
    """Rather than divide by it."""
    with pytest.raises(
        ValueError, match=r"^avg_pool2d: unusable divisor_override, got 0, expected another int or None"
    ):
        avg_pool2d(np.zeros((1, 3, 4, 4)), 2, divisor_override=0)


def test_an_empty_image_has_no_mean():
    """An empty image is refused rather than averaged to NaN."""
    with pytest.raises(ValueError, match=r"^adaptive_avg_pool2d: an empty image has no mean, got 0 rows or columns"):
        adaptive_avg_pool2d(np.zeros((1, 2, 0, 3)), 1)
