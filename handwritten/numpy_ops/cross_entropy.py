"""The cross-entropy of logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.numpy_ops._reduction import Reduction, check_reduction, reduced, share
from layerdiff.handwritten.numpy_ops.log_softmax import log_softmax
from layerdiff.handwritten.tape import differentiable

__all__ = ["Labels", "cross_entropy", "cross_entropy_vjp"]

Labels = NDArray[np.integer[Any]]
"""(n,) class numbers from 0, any integer dtype."""


def cross_entropy_vjp(
    grad: Array,
    y: Array,
    logits: Array,
    labels: Labels,
    *,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> tuple[Array]:
    """`(softmax(logits) - target) * grad`, divided by n for the mean: what the network claims less what is true.

    The target is 1 for the label, smoothed: `1 - label_smoothing` of it, and the rest shared out among all classes.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `cross_entropy` gave.
        logits: it took.
        labels: it took.
        reduction: it took.
        label_smoothing: it took.

    Returns:
        The gradient of `logits`, (n, classes), its dtype. The labels have none.
    """
    n, classes = logits.shape
    gradient: Array = np.exp(log_softmax(logits, axis=1))
    if label_smoothing:
        gradient -= label_smoothing / classes
    gradient[np.arange(n), labels] -= 1 - label_smoothing
    gradient *= share(grad, reduction, n)[..., None]
    return (gradient,)


@differentiable(cross_entropy_vjp)
def cross_entropy(
    logits: Array, labels: Labels, *, reduction: Reduction = "mean", label_smoothing: float = 0.0
) -> Array:
    """`-log(softmax(logits))` at each label, its mean over the batch, its sum, or for each example.

    Args:
        logits: (n, classes), any floating dtype; no softmax before it. It goes through `log_softmax`, so that large
            logits do not overflow and a share too small for its dtype still has a finite loss.
        labels: (n,), the true classes, 0 to classes - 1, any integer dtype.
        reduction: "mean", "sum" or "none".
        label_smoothing: the share of the truth that is given to all classes alike, 0 to 1.

    Returns:
        An array without axes, or for "none" (n,); dtype of the logits.

    Raises:
        ValueError: shapes or dtypes that do not fit, labels out of range (all are named), an unknown reduction, a
            smoothing that is no share, or the mean of nothing.

    Source: torch.nn.functional.cross_entropy; smoothing: Szegedy et al., "Rethinking the Inception Architecture for
    Computer Vision", 2015, section 7.
    """
    _check(logits, labels, label_smoothing)
    check_reduction("cross_entropy", reduction, len(logits))
    logs = log_softmax(logits, axis=1)
    losses: Array = -logs[np.arange(len(logits)), labels]
    if label_smoothing:
        # Apart, and not as a product with the smoothed target: that would make NaN of 0 times an infinite logarithm.
        losses = (1 - label_smoothing) * losses - label_smoothing * logs.mean(axis=1)
    return reduced(losses, reduction)


def _check(logits: Array, labels: Labels, label_smoothing: float) -> None:
    if logits.ndim != 2 or logits.shape[1] == 0:
        raise refusal(
            f"cross_entropy: unusable logits, got shape {logits.shape}, expected (n, classes)",
            help="one row for each example, one column for each class",
        )
    check_dtypes("cross_entropy", logits)
    if labels.shape != logits.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise refusal(
            f"cross_entropy: unusable labels, got {labels.shape} {labels.dtype}, "
            f"expected {logits.shape[:1]} of an integer dtype",
            help="a label is the number of a class; of one-hot rows it is labels.argmax(axis=1)",
        )
    if not 0 <= label_smoothing <= 1:
        raise refusal(
            f"cross_entropy: label_smoothing is not a share, got {label_smoothing}, expected between 0 and 1",
            help="0 believes the labels, 0.1 is usual",
        )
    _check_range(labels, logits.shape[1])


def _check_range(labels: Labels, classes: int) -> None:
    """Refuses what indexing would take for something else: NumPy counts negative numbers from the end."""
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        wrong = ", ".join(str(label) for label in np.unique(labels[outside]))
        raise refusal(
            f"cross_entropy: {outside.sum()} of {len(labels)} labels out of range, got {wrong}, "
            f"expected 0 to {classes - 1}",
            help=f"the first is labels[{int(outside.argmax())}]; classes count from 0",
        )
