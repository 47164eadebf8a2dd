"""The windows of an image as an array, for convolution and pooling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from layerdiff.handwritten.geometry import Pair, Window
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["pad", "taps", "windows"]


def pad(x: Array, window: Window, out: Pair, *, value: float = 0.0) -> Array:
    """Surrounds images with as much of `value` as the windows reach.

    Args:
        x: (..., h, w).
        window: its shape and steps.
        out: rows and columns of windows, from `window.output_size`.
        value: what lies outside the image.

    Returns:
        (..., h + top + bottom, w + left + right), dtype of `x`; `x` itself where no window leaves it.
    """
    h, w = x.shape[-2:]
    top, left = window.padding
    bottom, right = window.padding_after((h, w), out)
    if not (top or left or bottom or right):
        return x
    padded = np.full((*x.shape[:-2], top + h + bottom, left + w + right), value, dtype=x.dtype)
    padded[..., top : top + h, left : left + w] = x
    return padded


def windows(padded: Array, window: Window) -> Array:
    """Every window of padded images, as a view.

    Args:
        padded: (..., h, w), from `pad`.
        window: its shape and steps.

    Returns:
        (..., h_out, w_out, kh, kw), a read-only view: copy it before use in a product.
    """
    sh, sw = window.stride
    dh, dw = window.dilation
    view = sliding_window_view(padded, window.span, axis=(-2, -1))
    return view[..., ::sh, ::sw, ::dh, ::dw]


def taps(padded: Array, window: Window, out: Pair) -> Iterator[tuple[int, int, Array]]:
    """What each tap of the window sees, in all windows at once: the windows, cut the other way.

    Args:
        padded: (..., h, w), from `pad`.
        window: its shape and steps.
        out: rows and columns of windows.

    Yields:
        Row and column of the tap, and (..., h_out, w_out), a view.
    """
    kh, kw = window.kernel_size
    sh, sw = window.stride
    dh, dw = window.dilation
    h_out, w_out = out
    for p in range(kh):
        for q in range(kw):
            rows = slice(p * dh, p * dh + sh * (h_out - 1) + 1, sh)
            columns = slice(q * dw, q * dw + sw * (w_out - 1) + 1, sw)
            yield p, q, padded[..., rows, columns]
