"""What softmax and log-softmax ask of the axis they sum over."""

from __future__ import annotations

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["check_axis"]


def check_axis(where: str, x: Array, axis: int) -> None:
    """Refuses an axis that `x` does not have, and one along which it has no value.

    Raises:
        ValueError: it is so.
    """
    if not -x.ndim <= axis < x.ndim:
        raise refusal(
            f"{where}: no such axis, got {axis} of {x.ndim}, expected one that {x.shape} has",
            help="of logits (n, classes) the classes are axis 1",
        )
    if x.shape[axis] == 0:
        raise refusal(
            f"{where}: nothing along axis {axis}, got shape {x.shape}, expected at least one value",
            help="shares that add up to 1 need something to be shared among",
        )
