"""The windows of an image, one tap after the other, for convolution and pooling; and the padding around it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from layerdiff.handwritten.geometry import Pair, Window
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["blank", "pad", "taps", "unpad"]


def blank(shape: tuple[int, ...], window: Window, out: Pair, like: Array, *, value: float = 0.0) -> Array:
    """As much of `value` as images of `shape` and the padding around them that the windows reach.

    Args:
        shape: (..., h, w).
        window: its shape and steps.
        out: rows and columns of windows, from `window.output_size`.
        like: an array of the result's dtype; the result lies in memory in the order of its axes.
        value: what it holds.

    Returns:
        (..., top + h + bottom, left + w + right).
    """
    *leading, h, w = shape
    top, left = window.padding
    bottom, right = window.padding_after((h, w), out)
    return np.full_like(like, value, shape=(*leading, top + h + bottom, left + w + right))


def pad(x: Array, window: Window, out: Pair, *, value: float = 0.0) -> Array:
    """Surrounds images with as much of `value` as the windows reach.

    Args:
        x: (..., h, w).
        window: its shape and steps.
        out: rows and columns of windows, from `window.output_size`.
        value: what lies outside the image.

    Returns:
        (..., top + h + bottom, left + w + right), dtype of `x`; `x` itself where no window leaves it.
    """
    size = x.shape[-2], x.shape[-1]
    if not any((*window.padding, *window.padding_after(size, out))):
        return x
    padded = blank(x.shape, window, out, x, value=value)
    unpad(padded, size, window)[...] = x
    return padded


def unpad(padded: Array, size: Pair, window: Window) -> Array:
    """What lies within the image, as a view.

    Args:
        padded: (..., top + h + bottom, left + w + right).
        size: h and w.
        window: the one it was padded for.
    """
    top, left = window.padding
    return padded[..., top : top + size[0], left : left + size[1]]


def taps(padded: Array, window: Window, out: Pair) -> Iterator[Array]:
    """What each tap of the window sees, in all windows at once; the taps row by row.

    Args:
        padded: (..., top + h + bottom, left + w + right).
        window: its shape and steps.
        out: rows and columns of windows.

    Yields:
        (..., h_out, w_out), a view.
    """
    kh, kw = window.kernel_size
    sh, sw = window.stride
    dh, dw = window.dilation
    h_out, w_out = out
    for p in range(kh):
        for q in range(kw):
            rows = slice(p * dh, p * dh + sh * (h_out - 1) + 1, sh)
            columns = slice(q * dw, q * dw + sw * (w_out - 1) + 1, sw)
            yield padded[..., rows, columns]
