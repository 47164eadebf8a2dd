"""The windows of an image as a tensor, for pooling; and the padding around it, for convolution too."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from layerdiff.handwritten.geometry import Pair, Window

__all__ = ["padded", "windows"]


def padded(x: Tensor, window: Window, out: Pair, *, value: float = 0.0) -> Tensor:
    """Surrounds images with as much of `value` as the windows reach.

    Args:
        x: (n, c, h, w).
        window: its shape and steps.
        out: rows and columns of windows, from `window.output_size`.
        value: what lies outside the image.

    Returns:
        (n, c, top + h + bottom, left + w + right), dtype of `x`; `x` itself where no window leaves it.
    """
    top, left = window.padding
    bottom, right = window.padding_after((x.shape[2], x.shape[3]), out)
    around = (left, right, top, bottom)
    return pad(x, around, value=value) if any(around) else x


def windows(where: str, x: Tensor, window: Window, *, padding_value: float = 0.0) -> Tensor:
    """Every window of `x`, as a view of the padded image, or of `x` itself where no window leaves it.

    Args:
        where: the operation, for the errors.
        x: (n, c, h, w), any floating dtype.
        window: its shape and steps.
        padding_value: what lies outside the image.

    Returns:
        (n, c, h_out, w_out, kh, kw), dtype of `x`.

    Raises:
        ValueError: no window fits the padded image.
    """
    image = padded(x, window, window.output_size(where, (x.shape[2], x.shape[3])), value=padding_value)
    span, stride, dilation = window.span, window.stride, window.dilation
    view = image.unfold(2, span[0], stride[0]).unfold(3, span[1], stride[1])
    return view[..., :: dilation[0], :: dilation[1]]
