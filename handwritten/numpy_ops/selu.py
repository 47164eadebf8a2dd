"""The scaled exponential linear unit."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.tape import differentiable

__all__ = ["ALPHA", "SCALE", "selu", "selu_vjp"]

ALPHA = 1.6732632423543772848170429916717
"""With `SCALE`, what keeps a mean of 0 and a variance of 1 as they are."""

SCALE = 1.0507009873554804934193349852946


def selu_vjp(grad: Array, y: Array, x: Array) -> tuple[Array]:
    """`grad` times `SCALE` where `x` is positive, else times `SCALE * ALPHA * exp(x)`: at exactly 0 too, as in torch.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `selu` gave.
        x: what it took.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    return (np.where(x <= 0, grad * (SCALE * ALPHA * np.exp(np.minimum(x, 0))), grad * SCALE),)


@differentiable(selu_vjp)
def selu(x: Array) -> Array:
    """`SCALE * x` where x is not negative, else `SCALE * ALPHA * (exp(x) - 1)`; NaN stays NaN.

    Args:
        x: any shape and floating dtype.

    Returns:
        The shape and dtype of `x`.

    Raises:
        ValueError: the dtype is not floating.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017, equations 2 and 14; torch.nn.functional.selu.
    """
    check_dtypes("selu", x)
    # The exponential of what is positive is not wanted, and would overflow.
    return np.where(x < 0, SCALE * ALPHA * np.expm1(np.minimum(x, 0)), SCALE * x)
