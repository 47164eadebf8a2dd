"""How the losses of single values or examples become one number, and how its gradient goes back to them."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Reduction", "check_reduction", "reduced", "share"]

Reduction = Literal["mean", "sum", "none"]


def check_reduction(where: str, reduction: str, count: int) -> None:
    """Refuses an unknown reduction, and the mean of nothing.

    Args:
        where: the loss.
        reduction: what was asked for.
        count: how many losses there are.

    Raises:
        ValueError: it is so.
    """
    if reduction not in get_args(Reduction):
        raise refusal(
            f"{where}: unknown reduction, got {reduction!r}, expected {', '.join(map(repr, get_args(Reduction)))}",
            help="'mean' is what torch does unless told otherwise",
        )
    if reduction == "mean" and count == 0:
        raise refusal(
            f"{where}: nothing has no mean, got an empty batch, expected at least one loss",
            help="torch gives NaN here, which would spoil the weights",
        )


def reduced(losses: Array, reduction: Reduction) -> Array:
    """The losses' mean or sum as an array without axes, or the losses themselves."""
    if reduction == "none":
        return losses
    total: Array = np.asarray(losses.sum())
    return total if reduction == "sum" else np.asarray(total / losses.size)


def share(grad: Array, reduction: Reduction, count: int) -> Array:
    """The gradient of each loss, to be broadcast over the losses, from that of what they were reduced to."""
    return np.asarray(grad / count) if reduction == "mean" else grad
