"""Average pooling over windows of one size."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import check_divisor, check_image_batch
from layerdiff.handwritten.geometry import Size, Window, pair
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.numpy_ops._windows import pad, taps

__all__ = ["avg_pool2d"]


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
    window = Window(
        kernel_size=pair("avg_pool2d", "kernel_size", kernel_size, at_least=1),
        stride=pair("avg_pool2d", "stride", kernel_size if stride is None else stride, at_least=1),
        padding=pair("avg_pool2d", "padding", padding, at_least=0),
        ceil_mode=ceil_mode,
    )
    window.check_pool_padding("avg_pool2d")
    h, w = x.shape[2:]
    out = window.output_size("avg_pool2d", (h, w))
    total = np.zeros((*x.shape[:2], *out), dtype=x.dtype)
    for _, _, seen in taps(pad(x, window, out), window, out):
        total += seen
    if divisor_override is not None:
        total /= divisor_override
    else:
        rows = window.taps_counted(0, h, out[0], include_padding=count_include_pad)
        columns = window.taps_counted(1, w, out[1], include_padding=count_include_pad)
        total /= np.outer(rows, columns).astype(x.dtype)
    return total
