"""Softmax."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.numpy_ops._axis import check_axis
from layerdiff.handwritten.tape import differentiable

__all__ = ["softmax", "softmax_vjp"]


def softmax_vjp(grad: Array, y: Array, x: Array, axis: int = -1) -> tuple[Array]:
    """`y * (grad - sum(grad * y))`: a share grows only at the others' expense.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `softmax` gave.
        x: what it took.
        axis: it took.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    return (y * (grad - (grad * y).sum(axis=axis, keepdims=True)),)


@differentiable(softmax_vjp)
def softmax(x: Array, axis: int = -1) -> Array:
    """`exp(x) / sum(exp(x))`, the sum along one axis, safe for large x: the largest is taken off first.

    Args:
        x: any shape of at least one axis and any floating dtype. Minus infinity has no share; where nothing else is
            along the axis, or plus infinity is, the shares are NaN as in torch, and NumPy warns.
        axis: along which the shares add up to 1; torch calls it `dim`.

    Returns:
        The shape and dtype of `x`, 0 to 1.

    Raises:
        ValueError: there is no such axis, nothing along it, or the dtype is not floating.

    Source: torch.nn.functional.softmax.
    """
    check_dtypes("softmax", x)
    check_axis("softmax", x, axis)
    powers: Array = np.exp(x - x.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers
