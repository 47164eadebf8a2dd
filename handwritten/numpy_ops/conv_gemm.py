"""Convolution, grade `gemm`: as few copies as will do around one matrix product for a few images."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops._columns import batches, from_columns, to_columns

__all__ = ["conv2d_gemm", "conv2d_gemm_vjp"]


def conv2d_gemm(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """Convolves by one matrix product for each group, and for as many images as fit the cache; see `conv2d`.

    The pixels are the columns of the product, so that for one image it comes out in the order of the result.
    """
    n, _, h, w = x.shape
    out = window.output_size("conv2d", (h, w))
    kernels = weight.reshape(groups, len(weight) // groups, -1)
    y = np.empty((n, groups, kernels.shape[1], out[0] * out[1]), dtype=x.dtype)
    for images in batches(n, groups * kernels.shape[2] * y.shape[3]):
        _multiply(kernels, to_columns(x[images], window, out).reshape(groups, kernels.shape[2], -1), y[images])
    return y.reshape(n, len(weight), *out)


def conv2d_gemm_vjp(grad: Array, x: Array, weight: Array, window: Window, groups: int) -> tuple[Array, Array]:
    """The gradients of `x` and `weight`, by two matrix products for each group and as many images as fit the cache.

    For one image and group, with P its patch matrix, K its kernel matrix and G the gradient of their product K P:

        gradient of K:   G P^T
        gradient of P:   K^T G, and of the image: each patch added where it came from.

    Source: Goodfellow et al., "Deep Learning", 2016, section 6.5.6, for the product; the rest of it only copies.
    """
    n, _, h, w = x.shape
    out = window.output_size("conv2d", (h, w))
    kernels = weight.reshape(groups, len(weight) // groups, -1)
    grad_of = grad.reshape(n, groups, kernels.shape[1], out[0] * out[1])
    grad_kernels, grad_x = np.zeros_like(kernels), np.empty_like(x)
    for images in batches(n, groups * kernels.shape[2] * grad_of.shape[3]):
        part = _by_group(grad_of[images]).reshape(*kernels.shape[:2], -1)
        columns = to_columns(x[images], window, out).reshape(groups, kernels.shape[2], -1)
        grad_kernels += part @ columns.swapaxes(1, 2)
        grad_columns = kernels.swapaxes(1, 2) @ part
        grad_x[images] = from_columns(grad_columns, x[images].shape, window, out)
    return grad_x, grad_kernels.reshape(weight.shape)


def _multiply(kernels: Array, columns: Array, y: Array) -> None:
    """Writes the product into `y`, (n, groups, c, pixels): of one image right there, of several by way of a copy."""
    if len(y) == 1:
        np.matmul(kernels, columns, out=y[0])
    else:
        part = _by_group(y)
        part[...] = (kernels @ columns).reshape(part.shape)


def _by_group(y: Array) -> Array:
    """(n, groups, c, pixels) as (groups, c, n, pixels): every group's images beside each other."""
    return y.transpose(1, 2, 0, 3)
