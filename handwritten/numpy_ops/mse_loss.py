"""The mean squared error."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.numpy_ops._reduction import Reduction, check_reduction, reduced, share
from layerdiff.handwritten.tape import differentiable

__all__ = ["mse_loss", "mse_loss_vjp"]


def mse_loss_vjp(
    grad: Array, y: Array, x: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, Array]:
    """`2 * (x - target) * grad`, divided by their number for the mean; and its negative.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `mse_loss` gave.
        x: what it took.
        target: it took.
        reduction: it took.

    Returns:
        The gradients of `x` and of `target`, of their shape and dtype.
    """
    gradient: Array = np.asarray(2 * (x - target) * share(grad, reduction, x.size))
    return gradient, np.asarray(-gradient)


@differentiable(mse_loss_vjp)
def mse_loss(x: Array, target: Array, *, reduction: Reduction = "mean") -> Array:
    """`(x - target)^2`, its mean over all values, its sum, or each by itself.

    Args:
        x: any shape and floating dtype.
        target: shape and dtype of `x`: nothing is broadcast.
        reduction: "mean", "sum" or "none".

    Returns:
        An array without axes, or for "none" the shape of `x`; dtype of `x`.

    Raises:
        ValueError: shapes or dtypes that do not fit, an unknown reduction, or the mean of nothing.

    Source: torch.nn.functional.mse_loss.
    """
    if x.shape != target.shape:
        raise refusal(
            f"mse_loss: different shapes, got x {x.shape} and target {target.shape}, expected the same",
            help="a column against a row would be broadcast to a square; reshape the target",
        )
    check_dtypes("mse_loss", x, target=target)
    check_reduction("mse_loss", reduction, x.size)
    return reduced(np.asarray(np.square(x - target)), reduction)
