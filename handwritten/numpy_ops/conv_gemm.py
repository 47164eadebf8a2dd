"""Convolution, grade `gemm`: as few copies as will do around one matrix product for each image."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops._windows import pad, windows

__all__ = ["conv2d_gemm"]


def conv2d_gemm(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """Convolves by one matrix product for each image and group; see `conv2d`.

    The pixels are the columns of the product, so that it comes out in the order of the result. Images are taken one
    after the other: the patches of one image are all that is held beside input and output.
    """
    n, _, h, w = x.shape
    c_out = len(weight)
    out = window.output_size("conv2d", (h, w))
    kernels = weight.reshape(groups, c_out // groups, -1)
    y = np.empty((n, groups, c_out // groups, out[0] * out[1]), dtype=x.dtype)
    for image, result in zip(x, y, strict=True):
        patches = _patches(pad(image, window, out), window)
        np.matmul(kernels, patches.reshape(groups, kernels.shape[2], -1), out=result)
    return y.reshape(n, c_out, *out)


def _patches(padded: Array, window: Window) -> Array:
    """(c, kh, kw, h_out, w_out): what every tap sees in all windows, a view of (c, h, w)."""
    return windows(padded, window).transpose(0, 3, 4, 1, 2)
