"""Convolution, grade `im2col`: write every patch out as a row, then multiply once."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops._windows import pad, taps

__all__ = ["conv2d_im2col", "im2col"]


def conv2d_im2col(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """Convolves by one product of a patch matrix and a kernel matrix for each group; see `conv2d`."""
    h_out, w_out = window.output_size("conv2d", (x.shape[2], x.shape[3]))
    outputs = [
        im2col(channels, window) @ kernels.reshape(len(kernels), -1).T
        for channels, kernels in zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True)
    ]
    y = np.concatenate(outputs, axis=1).reshape(len(x), h_out, w_out, len(weight))
    return np.ascontiguousarray(y.transpose(0, 3, 1, 2))


def im2col(x: Array, window: Window) -> Array:
    """The patch matrix of images: one row for each window, one column for each channel and tap.

    Args:
        x: (n, c, h, w).
        window: its shape and steps.

    Returns:
        (n*h_out*w_out, c*kh*kw), dtype of `x`, the columns in the order of a kernel's values.

    Source: Chellapilla et al., "High Performance Convolutional Neural Networks for Document Processing", 2006.
    """
    n, c, h, w = x.shape
    out = window.output_size("im2col", (h, w))
    kh, kw = window.kernel_size
    patches = np.empty((n, *out, c, kh, kw), dtype=x.dtype)
    for p, q, seen in taps(pad(x, window, out), window, out):
        patches[..., p, q] = seen.transpose(0, 2, 3, 1)
    return patches.reshape(n * out[0] * out[1], c * kh * kw)
