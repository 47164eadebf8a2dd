"""The logistic function."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.tape import differentiable

__all__ = ["sigmoid", "sigmoid_vjp"]


def sigmoid_vjp(grad: Array, y: Array, x: Array) -> tuple[Array]:
    """`grad * (1 - y) * y`.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `sigmoid` gave.
        x: what it took.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    return (np.asarray(grad * (1 - y) * y),)


@differentiable(sigmoid_vjp)
def sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))`, without overflow for any x; NaN stays NaN.

    Args:
        x: any shape and floating dtype.

    Returns:
        The shape and dtype of `x`, 0 to 1.

    Raises:
        ValueError: the dtype is not floating.

    Source: torch.nn.functional.sigmoid.
    """
    check_dtypes("sigmoid", x)
    # exp(-|x|) is at most 1. A negative x takes the fraction multiplied through by exp(x).
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, small, np.ones((), dtype=x.dtype)) / (1 + small))
