"""The hyperbolic tangent."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.tape import differentiable

__all__ = ["tanh", "tanh_vjp"]


def tanh_vjp(grad: Array, y: Array, x: Array) -> tuple[Array]:
    """`grad * (1 - y * y)`.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `tanh` gave.
        x: what it took.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    return (np.asarray(grad * (1 - y * y)),)


@differentiable(tanh_vjp)
def tanh(x: Array) -> Array:
    """The hyperbolic tangent of each value; NaN stays NaN.

    Args:
        x: any shape and floating dtype.

    Returns:
        The shape and dtype of `x`, -1 to 1.

    Raises:
        ValueError: the dtype is not floating.

    Source: torch.nn.functional.tanh.
    """
    check_dtypes("tanh", x)
    return np.asarray(np.tanh(x))
