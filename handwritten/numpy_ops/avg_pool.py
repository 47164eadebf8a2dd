"""Average pooling over windows of one size."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from layerdiff.handwritten._checks import check_divisor, check_image_batch
from layerdiff.handwritten.geometry import Pair, Size, Window, pair
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.numpy_ops._windows import blank, pad, taps, unpad
from layerdiff.handwritten.tape import differentiable

__all__ = ["avg_pool2d", "avg_pool2d_vjp"]


def avg_pool2d_vjp(
    grad: Array,
    y: Array,
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> tuple[Array]:
    """Every window gives each of its pixels the share of `grad` that it divided by; shares of a pixel add up.

    `grad` is the gradient of `y`, which `avg_pool2d` gave for the arguments that follow.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    window = _window(kernel_size, stride, padding, ceil_mode)
    size, out = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3])
    shares = grad / _divisor(window, size, out, x.dtype, count_include_pad, divisor_override)
    grad_padded = blank(x.shape, window, out, x)
    for into in taps(grad_padded, window, out):
        into[...] += shares
    return (unpad(grad_padded, size, window),)


@differentiable(avg_pool2d_vjp)
def avg_pool2d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of each window.

    Args:
        x: (n, c, h, w), any floating dtype.
        kernel_size: rows and columns of a window.
        stride: the step of the windows, `kernel_size` unless given.
        padding: zeros around the image, at most half of a window.
        ceil_mode: whether a last window may hang over the edge.
        count_include_pad: whether the zeros of the padding count as values.
        divisor_override: divide the sum by this instead of by the number of values.

    Returns:
        (n, c, h_out, w_out), dtype of `x`.

    Raises:
        ValueError: a size that cannot be used, or a padded image smaller than the kernel.

    Source: torch.nn.functional.avg_pool2d.
    """
    check_image_batch("avg_pool2d", x.shape)
    check_dtypes("avg_pool2d", x)
    check_divisor("avg_pool2d", divisor_override)
    window = _window(kernel_size, stride, padding, ceil_mode)
    size = x.shape[2], x.shape[3]
    out = window.output_size("avg_pool2d", size)
    total = np.zeros((*x.shape[:2], *out), dtype=x.dtype)
    for seen in taps(pad(x, window, out), window, out):
        total += seen
    total /= _divisor(window, size, out, x.dtype, count_include_pad, divisor_override)
    return total


def _window(kernel_size: Size, stride: Size | None, padding: Size, ceil_mode: bool) -> Window:
    window = Window(
        kernel_size=pair("avg_pool2d", "kernel_size", kernel_size, at_least=1),
        stride=pair("avg_pool2d", "stride", kernel_size if stride is None else stride, at_least=1),
        padding=pair("avg_pool2d", "padding", padding, at_least=0),
        ceil_mode=ceil_mode,
    )
    window.check_pool_padding("avg_pool2d")
    return window


def _divisor(
    window: Window, size: Pair, out: Pair, dtype: DTypeLike, count_include_pad: bool, divisor_override: int | None
) -> Array | int:
    """What the sums are divided by: (h_out, w_out), or one number."""
    if divisor_override is not None:
        return divisor_override
    rows, columns = (
        window.taps_counted(axis, size[axis], out[axis], include_padding=count_include_pad) for axis in (0, 1)
    )
    counts: Array = np.outer(rows, columns).astype(dtype)
    return counts
