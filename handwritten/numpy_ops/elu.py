"""The exponential linear unit."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.tape import differentiable

__all__ = ["elu", "elu_vjp"]


def elu_vjp(grad: Array, y: Array, x: Array, alpha: float = 1.0) -> tuple[Array]:
    """`grad` where `x` is positive, else `grad * alpha * exp(x)`: at exactly 0 the slope is `alpha`, as in torch.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `elu` gave; `y + alpha` would be the slope as well, but loses its digits where it is small.
        x: what it took.
        alpha: it took.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    return (np.where(x <= 0, grad * (alpha * np.exp(np.minimum(x, 0))), grad),)


@differentiable(elu_vjp)
def elu(x: Array, alpha: float = 1.0) -> Array:
    """`x` where it is not negative, else `alpha * (exp(x) - 1)`; NaN stays NaN.

    Args:
        x: any shape and floating dtype.
        alpha: minus infinity goes to `-alpha`.

    Returns:
        The shape and dtype of `x`.

    Raises:
        ValueError: the dtype is not floating.

    Source: Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2015, equation 15;
    torch.nn.functional.elu.
    """
    check_dtypes("elu", x)
    # The exponential of what is positive is not wanted, and would overflow.
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)
