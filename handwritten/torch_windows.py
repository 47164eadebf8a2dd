"""The windows of an image as a tensor, for pooling."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from layerdiff.handwritten.geometry import Window

__all__ = ["windows"]


def windows(where: str, x: Tensor, window: Window, *, padding_value: float = 0.0) -> Tensor:
    """Every window of `x`, as a view of the padded image.

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
    size = (x.shape[2], x.shape[3])
    top, left = window.padding
    bottom, right = window.padding_after(size, window.output_size(where, size))
    padded = pad(x, (left, right, top, bottom), value=padding_value)
    span, stride, dilation = window.span, window.stride, window.dilation
    view = padded.unfold(2, span[0], stride[0]).unfold(3, span[1], stride[1])
    return view[..., :: dilation[0], :: dilation[1]]
