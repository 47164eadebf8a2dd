"""Convolution, grade `im2col`: write every patch out as a row, then multiply once."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops._columns import to_columns

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
        (n*h_out*w_out, c*kh*kw), dtype of `x`: the transpose of what `image_to_column` gives.

    Source: Chellapilla et al., "High Performance Convolutional Neural Networks for Document Processing", 2006.
    """
    return to_columns(x, window, window.output_size("im2col", (x.shape[2], x.shape[3]))).T
