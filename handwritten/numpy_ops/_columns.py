"""The patch matrix of padded images, and back: what convolution multiplies its kernels with."""

from __future__ import annotations

from collections.abc import Iterator

from numpy.lib.stride_tricks import sliding_window_view

from layerdiff.handwritten.geometry import Pair, Window
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops._windows import blank, pad, taps, unpad

__all__ = ["batches", "from_columns", "to_columns"]

PATCH_VALUES = 2**19
"""How many values of patches are held at a time: as many as a core's own cache holds."""


def batches(count: int, patch_values: int) -> Iterator[slice]:
    """Cuts `count` images into runs whose patches fit a core's cache; at least one image in each.

    One product for many small images is faster than many small products, and one for many large images is slower:
    its patches would come from memory.

    Args:
        count: images.
        patch_values: values in the patch matrix of one of them.
    """
    images = max(1, PATCH_VALUES // patch_values)
    for start in range(0, count, images):
        yield slice(start, min(start + images, count))


def to_columns(x: Array, window: Window, out: Pair) -> Array:
    """Every window of `x` as a column, in the layout of `image_to_column`.

    Args:
        x: (n, c, h, w).
        window: its shape and steps.
        out: rows and columns of windows, from `window.output_size`.

    Returns:
        (c*kh*kw, n*h_out*w_out), dtype of `x`; a view of it where the windows are its pixels.
    """
    (step_h, step_w), (apart_h, apart_w) = window.stride, window.dilation
    seen = sliding_window_view(pad(x, window, out), window.span, axis=(2, 3))
    seen = seen[:, :, ::step_h, ::step_w, ::apart_h, ::apart_w]  # (n, c, h_out, w_out, kh, kw), a view
    rows = x.shape[1] * window.kernel_size[0] * window.kernel_size[1]
    return seen.transpose(1, 4, 5, 0, 2, 3).reshape(rows, len(x) * out[0] * out[1])


def from_columns(columns: Array, shape: tuple[int, ...], window: Window, out: Pair) -> Array:
    """The transpose of `to_columns`: adds every value of every window up where it came from.

    Args:
        columns: (c*kh*kw, n*h_out*w_out).
        shape: (n, c, h, w).
        window: its shape and steps.
        out: rows and columns of windows.

    Returns:
        (n, c, h, w), dtype of `columns`; zero where no window looks.
    """
    n, c, h, w = shape
    parts = columns.reshape(c, window.kernel_size[0] * window.kernel_size[1], n, *out)
    padded = blank(shape, window, out, columns)
    for place, into in enumerate(taps(padded, window, out)):
        into[...] += parts[:, place].swapaxes(0, 1)
    return unpad(padded, (h, w), window)
