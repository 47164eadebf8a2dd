"""Classes in another order, or counted from another number: read from the logits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain, linear
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.trace import Array

__all__ = ["class_order", "hypotheses"]

_SHOWN = 3


def class_order(expected: Array, actual: Array) -> Array | None:
    """Which of the expected classes each of the candidate's is, by the logits' order; None where they are in place.

    It is a guess that must be tried: any logits have an order.

    Args:
        expected: (n, classes).
        actual: likewise.

    Returns:
        (classes,) whole numbers, such that `expected[:, order]` is nearest to `actual`.
    """
    if expected.shape != actual.shape or expected.ndim != 2:
        return None
    order = np.empty(expected.shape[1], np.intp)
    # Sample by sample: the first in which all logits differ tells, and the others must agree.
    sample = max(range(len(expected)), key=lambda i: len(np.unique(expected[i])))
    order[np.argsort(actual[sample], kind="stable")] = np.argsort(expected[sample], kind="stable")
    return None if np.array_equal(order, np.arange(len(order))) else order


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """The expected linear layer with its classes in another order, or with one class more in front of them.

    Args:
        site: of an expected linear layer, with two-dimensional outputs.
    """
    op, sample = site.op, site.clear
    if op.kind != "linear" or sample.want.ndim != 2 or sample.got.ndim != 2:
        return
    weight, bias = op.parameters["weight"], op.parameters.get("bias")
    if sample.got.shape[1] == len(weight) + 1:
        yield from _one_more(site, weight, bias)
    order = class_order(sample.want, sample.got)
    if order is not None:
        yield Hypothesis(
            "I8",
            f"the classes are in another order: {_words(order)}",
            "use the reference's order of classes for the last layer's rows, and its list of labels",
            model=chain(op.inputs, linear(weight[order], None if bias is None else bias[order])),
            evidence=_evidence(sample.want, sample.got),
            rank=2,
        )


def _one_more(site: Site, weight: Array, bias: Array | None) -> Iterator[Hypothesis]:
    """A class in front of, or behind, the expected ones: a background. Its own row can only be the candidate's."""
    own, own_bias = site.own("weight"), site.own("bias")
    if own is None or own.shape != (len(weight) + 1, weight.shape[1]) or (own_bias is None) != (bias is None):
        return
    for row, where in ((0, "in front of"), (len(weight), "behind")):
        more = np.insert(weight, row, own[row], axis=0)
        shifts = None if bias is None or own_bias is None else np.insert(bias, row, own_bias[row])
        yield Hypothesis(
            "I8",
            f"there is one class more {where} the expected {len(weight)}, so every label is one off"
            if row == 0
            else f"there is one class more {where} the expected {len(weight)}",
            "drop the background class, or subtract one from the label",
            model=chain(site.op.inputs, linear(more, shifts)),
            evidence=(f"got {len(weight) + 1} logits, expected {len(weight)}",),
            rank=2,
        )


def _words(order: Array) -> str:
    count = len(order)
    shift = int(order[0])
    if np.array_equal(order, (np.arange(count) + shift) % count):
        by = shift if shift <= count // 2 else shift - count
        return f"class i is the expected class i {'+' if by > 0 else '-'} {abs(by)}, all the way round"
    moved = np.flatnonzero(order != np.arange(count))
    shown = ", ".join(f"{i} is the expected {order[i]}" for i in moved[:_SHOWN])
    return f"{len(moved):,} of {count:,} are elsewhere; {shown}"


def _evidence(want: Array, got: Array) -> tuple[str, ...]:
    pairs = [f"{b} for {a}" for a, b in zip(want.argmax(axis=1), got.argmax(axis=1), strict=True)]
    return (f"the greatest logit is that of class {', '.join(dict.fromkeys(pairs[:_SHOWN]))}",)
