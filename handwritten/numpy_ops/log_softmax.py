"""The logarithm of softmax."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.numpy_ops._axis import check_axis
from layerdiff.handwritten.tape import differentiable

__all__ = ["log_softmax", "log_softmax_vjp"]


def log_softmax_vjp(grad: Array, y: Array, x: Array, axis: int = -1) -> tuple[Array]:
    """`grad - exp(y) * sum(grad)`.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `log_softmax` gave.
        x: what it took.
        axis: it took.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    return (grad - np.exp(y) * grad.sum(axis=axis, keepdims=True),)


@differentiable(log_softmax_vjp)
def log_softmax(x: Array, axis: int = -1) -> Array:
    """`x - log(sum(exp(x)))`, the sum along one axis, without overflow and without the logarithm of 0.

    The largest x is taken off first, so that the sum is at least 1. A share too small for its dtype still has a
    logarithm here, which that of `softmax` would lose.

    Args:
        x: any shape of at least one axis and any floating dtype. Minus infinity stays; where nothing else is along
            the axis, or plus infinity is, the result is NaN as in torch, and NumPy warns.
        axis: along which the shares add up to 1; torch calls it `dim`.

    Returns:
        The shape and dtype of `x`, at most 0.

    Raises:
        ValueError: there is no such axis, nothing along it, or the dtype is not floating.

    Source: torch.nn.functional.log_softmax; Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and
    softmax functions", 2021, section 3.
    """
    check_dtypes("log_softmax", x)
    check_axis("log_softmax", x, axis)
    shifted: Array = x - x.max(axis=axis, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return shifted
