"""Max pooling."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import check_image_batch
from layerdiff.handwritten.geometry import Size, Window, pair
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.numpy_ops._windows import pad, taps

__all__ = ["max_pool2d"]


def max_pool2d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    ceil_mode: bool = False,
) -> Array:
    """The largest value in each window; NaN where the window holds one.

    The image is padded with minus infinity, not with zeros, which would be the largest value of a negative window.

    Args:
        x: (n, c, h, w), any floating dtype.
        kernel_size: rows and columns of a window.
        stride: the step of the windows, `kernel_size` unless given.
        padding: around the image, at most half of a window.
        dilation: the step between two taps of a window.
        ceil_mode: whether a last window may hang over the edge.

    Returns:
        (n, c, h_out, w_out), dtype of `x`.

    Raises:
        ValueError: a size that cannot be used, or a padded image smaller than the kernel.

    Source: torch.nn.functional.max_pool2d.
    """
    check_image_batch("max_pool2d", x.shape)
    check_dtypes("max_pool2d", x)
    window = Window(
        kernel_size=pair("max_pool2d", "kernel_size", kernel_size, at_least=1),
        stride=pair("max_pool2d", "stride", kernel_size if stride is None else stride, at_least=1),
        padding=pair("max_pool2d", "padding", padding, at_least=0),
        dilation=pair("max_pool2d", "dilation", dilation, at_least=1),
        ceil_mode=ceil_mode,
    )
    window.check_pool_padding("max_pool2d")
    out = window.output_size("max_pool2d", (x.shape[2], x.shape[3]))
    y = np.full((*x.shape[:2], *out), -np.inf, dtype=x.dtype)
    for _, _, seen in taps(pad(x, window, out, value=-np.inf), window, out):
        np.maximum(y, seen, out=y)
    return y
