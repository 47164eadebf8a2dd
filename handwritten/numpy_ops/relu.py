"""The rectifier."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array, masked
from layerdiff.handwritten.tape import differentiable

__all__ = ["relu", "relu_vjp"]


def relu_vjp(grad: Array, y: Array, x: Array) -> tuple[Array]:
    """`grad`, but zero where `y` is not positive: at exactly 0 the slope is 0, as in torch.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `relu` gave.
        x: what it took.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    return (masked(grad, ~(y <= 0)),)


@differentiable(relu_vjp)
def relu(x: Array) -> Array:
    """`max(x, 0)`: any shape and floating dtype in, the same out; NaN stays NaN.

    Source: torch.nn.functional.relu.
    """
    y: Array = np.asarray(np.maximum(x, 0))
    return y
