"""Max pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from layerdiff.handwritten._checks import check_image_batch
from layerdiff.handwritten.geometry import Size, Window, pair
from layerdiff.handwritten.numpy_ops._arrays import Array, Mask, check_dtypes, masked
from layerdiff.handwritten.numpy_ops._windows import blank, pad, taps, unpad
from layerdiff.handwritten.tape import differentiable

__all__ = ["max_pool2d", "max_pool2d_vjp"]


def max_pool2d_vjp(
    grad: Array,
    y: Array,
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    ceil_mode: bool = False,
) -> tuple[Array]:
    """Every window gives all of `grad` to one pixel: its largest. What a pixel gets from several windows adds up.

    Of equal values the first takes it, row by row of the window, as in torch; of several NaN the last. Padding never
    takes it, not even in a window that is minus infinity throughout.

    `grad` is the gradient of `y`, which `max_pool2d` gave for the arguments that follow.

    Returns:
        The gradient of `x`, its shape and dtype.

    Source: torch.nn.functional.max_pool2d; for equal values and NaN `cpu_max_pool` in ATen.
    """
    window = _window(kernel_size, stride, padding, dilation, ceil_mode)
    out = (y.shape[2], y.shape[3])
    grad_padded = blank(x.shape, window, out, x)

    def places(outside: float) -> list[tuple[Array, Array]]:
        seen = taps(pad(x, window, out, value=outside), window, out)
        return list(zip(seen, taps(grad_padded, window, out), strict=True))

    numbers = ~np.isnan(y)
    # NaN is equal to nothing, so no window takes its padding for its largest.
    _hand_out(grad, numbers, places(np.nan), lambda seen: seen == y)
    if not numbers.all():
        _hand_out(grad, ~numbers, places(0.0)[::-1], np.isnan)
    return (unpad(grad_padded, (x.shape[2], x.shape[3]), window),)


@differentiable(max_pool2d_vjp)
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
    window = _window(kernel_size, stride, padding, dilation, ceil_mode)
    out = window.output_size("max_pool2d", (x.shape[2], x.shape[3]))
    y = np.full_like(x, -np.inf, shape=(*x.shape[:2], *out))
    for seen in taps(pad(x, window, out, value=-np.inf), window, out):
        np.maximum(y, seen, out=y)
    return y


def _window(kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool) -> Window:
    window = Window(
        kernel_size=pair("max_pool2d", "kernel_size", kernel_size, at_least=1),
        stride=pair("max_pool2d", "stride", kernel_size if stride is None else stride, at_least=1),
        padding=pair("max_pool2d", "padding", padding, at_least=0),
        dilation=pair("max_pool2d", "dilation", dilation, at_least=1),
        ceil_mode=ceil_mode,
    )
    window.check_pool_padding("max_pool2d")
    return window


def _hand_out(
    grad: Array, unclaimed: Mask, places: Sequence[tuple[Array, Array]], wins: Callable[[Array], Mask]
) -> None:
    """Adds `grad` of each unclaimed window to the first of its places that wins it.

    Args:
        grad: (n, c, h_out, w_out).
        unclaimed: which windows, alike.
        places: what each tap sees, and where its gradient is added, alike.
        wins: takes what a tap sees, says in which windows it is the one.
    """
    for seen, into in places:
        won = unclaimed & wins(seen)
        into[...] += masked(grad, won)
        unclaimed = unclaimed & ~won
