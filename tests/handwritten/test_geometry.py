"""The arithmetic of sliding windows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from layerdiff.handwritten.geometry import Window, adaptive_bounds, flattened_shape, pair


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel_size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    share=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    ceil_mode=st.booleans(),
)
def test_there_are_as_many_windows_as_torch_makes(size, kernel_size, stride, dilation, share, ceil_mode):
    """For every geometry the number of windows is torch's, and where torch has none there is a ValueError."""
    padding = (min(share[0], kernel_size[0] // 2), min(share[1], kernel_size[1] // 2))
    window = Window(kernel_size, stride, padding, dilation, ceil_mode)
    try:
        pooled = functional.max_pool2d(torch.zeros(1, 1, *size), kernel_size, stride, padding, dilation, ceil_mode)
    except RuntimeError:
        with pytest.raises(ValueError, match="padded image is smaller than the kernel"):
            window.output_size("here", size)
    else:
        assert window.output_size("here", size) == tuple(pooled.shape[2:])


def test_a_window_that_would_start_beyond_the_image_is_left_out():
    """Ceil mode rounds up, but not to a window that sees only padding: torch's special rule."""
    window = Window((2, 2), stride=(3, 3), padding=(1, 1), ceil_mode=True)
    assert window.output_size("here", (5, 6)) == (2, 3)


def test_the_padding_after_the_image_is_what_the_last_window_reaches():
    """Padding that no window looks at is not made; ceil mode may ask for more than `padding`."""
    assert Window((3, 3), (2, 2), (1, 1)).padding_after((8, 7), (4, 4)) == (0, 1)
    assert Window((2, 2), (2, 2), ceil_mode=True).padding_after((5, 4), (3, 2)) == (1, 0)


def test_no_window_fits_says_both_sizes():
    """An image too small for the kernel is refused with its padded size, the size needed, and what they came from."""
    window = Window((3, 5), padding=(1, 0), dilation=(2, 1))
    with pytest.raises(
        ValueError,
        match=r"^conv2d: the padded image is smaller than the kernel, got 4x9, expected at least 5x5\n",
    ) as caught:
        window.output_size("conv2d", (2, 9))
    (note,) = caught.value.__notes__
    assert note.startswith("help: the image is 2x9, padding (1, 0), kernel_size (3, 5), dilation (2, 1): take a larger")


def test_pool_padding_of_more_than_half_the_kernel_is_refused():
    """Torch's limit, kernel_size // 2 whatever the dilation, holds on each axis by itself."""
    Window((3, 5), padding=(1, 2)).check_pool_padding("max_pool2d")
    with pytest.raises(
        ValueError, match=r"^max_pool2d: more padding than half the kernel, got \(2, 2\), expected at m"
    ):
        Window((3, 5), padding=(2, 2), dilation=(3, 3)).check_pool_padding("max_pool2d")


@pytest.mark.parametrize("value", [3, [3, 3], (3, 3)])
def test_one_number_stands_for_both_axes(value):
    """An int and a pair of it mean the same."""
    assert pair("Conv2d", "stride", value, at_least=1) == (3, 3)


def test_rows_come_before_columns():
    """A pair keeps its order."""
    assert pair("Conv2d", "stride", (1, 2), at_least=1) == (1, 2)


@pytest.mark.parametrize("value", [0, (1, 0), 1.5, (1, 2, 3), "2", None])
def test_an_unusable_size_is_refused_by_name(value):
    """The error names the layer, the argument, the value and the least that is allowed."""
    with pytest.raises(
        ValueError, match=r"^Conv2d: unusable stride, got .*, expected an int or a pair of ints, at leas"
    ):
        pair("Conv2d", "stride", value, at_least=1)


def test_adaptive_windows_cover_everything_in_order():
    """They start at the first row and end after the last, without a gap, and overlap where sizes do not divide."""
    bounds = adaptive_bounds("here", 7, 3)
    assert bounds == [(0, 3), (2, 5), (4, 7)]
    assert adaptive_bounds("here", 2, 4) == [(0, 1), (0, 1), (1, 2), (1, 2)]


def test_nothing_cannot_be_shared_out():
    """The mean of an empty image is refused rather than NaN."""
    with pytest.raises(
        ValueError, match=r"^here: an empty image has no mean, got 0 rows or columns, expected at least 1"
    ):
        adaptive_bounds("here", 0, 1)


@pytest.mark.parametrize(("start", "end"), [(0, -1), (1, -1), (1, 2), (-2, -1), (2, 2)])
def test_flattened_shape_is_torchs(start, end):
    """Positive and negative axes mean what they mean to torch."""
    assert flattened_shape("here", (2, 3, 4, 5), start, end) == tuple(torch.zeros(2, 3, 4, 5).flatten(start, end).shape)


@pytest.mark.parametrize(("start", "end"), [(2, 1), (1, 4), (-5, 1)])
def test_axes_that_are_not_there_are_refused(start, end):
    """The error names both axes and the shape."""
    with pytest.raises(ValueError, match=r"^here: no such axes, got start_dim .* of \(2, 3, 4, 5\)\n"):
        flattened_shape("here", (2, 3, 4, 5), start, end)
