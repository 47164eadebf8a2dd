"""Average pooling to a given size."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import check_image_batch
from layerdiff.handwritten.geometry import Pair, Size, adaptive_bounds, pair
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.tape import differentiable

__all__ = ["adaptive_avg_pool2d", "adaptive_avg_pool2d_vjp"]


def adaptive_avg_pool2d_vjp(grad: Array, y: Array, x: Array, output_size: Size) -> tuple[Array]:
    """Every window gives each of its pixels an equal share; a pixel in several windows adds its shares up.

    Args:
        grad: the gradient of `y`, (n, c, *output_size).
        y: what `adaptive_avg_pool2d` gave.
        x: what it took.
        output_size: as it was given.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    rows, columns = _bounds(x, output_size)
    wide = np.zeros_like(x, shape=(*grad.shape[:3], x.shape[3]))
    for j, (start, end) in enumerate(columns):
        wide[..., start:end] += grad[..., j, None] / (end - start)
    grad_x = np.zeros_like(x)
    for i, (start, end) in enumerate(rows):
        grad_x[:, :, start:end] += wide[:, :, i, None] / (end - start)
    return (grad_x,)


@differentiable(adaptive_avg_pool2d_vjp)
def adaptive_avg_pool2d(x: Array, output_size: Size) -> Array:
    """The mean of each of `output_size` windows that share the image out among them.

    A window is a rectangle, so its mean is the mean over the columns of the means over the rows.

    Args:
        x: (n, c, h, w), any floating dtype.
        output_size: rows and columns of the result.

    Returns:
        (n, c, *output_size), dtype of `x`.

    Raises:
        ValueError: a size that cannot be used, or an empty image.

    Source: torch.nn.functional.adaptive_avg_pool2d.
    """
    check_image_batch("adaptive_avg_pool2d", x.shape)
    check_dtypes("adaptive_avg_pool2d", x)
    rows, columns = _bounds(x, output_size)
    x = np.stack([x[:, :, start:end].mean(axis=2) for start, end in rows], axis=2)
    return np.stack([x[..., start:end].mean(axis=3) for start, end in columns], axis=3)


def _bounds(x: Array, output_size: Size) -> tuple[list[Pair], list[Pair]]:
    """Start and end of the windows' rows and of their columns."""
    rows, columns = pair("adaptive_avg_pool2d", "output_size", output_size, at_least=1)
    return (
        adaptive_bounds("adaptive_avg_pool2d", x.shape[2], rows),
        adaptive_bounds("adaptive_avg_pool2d", x.shape[3], columns),
    )
