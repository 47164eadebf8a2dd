"""The gradients of softmax, its logarithm, and the cross-entropy of them.

With the shares p along the axis, their relative error P in units of u (`allowance.softmax`: |log p| + |M| + B), g the
gradient of the output, and n values along the axis, one implementation errs to first order by at most

    softmax          p·(g - S), S = Σ g·p:  S errs by s = Σ|g|·p·(P + σ); so  p·((P + 2)·(|g| + Σ|g|p) + s)
    log_softmax      g - p·G, G = Σ g:      p is taken as eʸ, and errs by L more; G by σ·Σ|g|:
                                            p·Σ|g|·(P + L + σ + 1) + |g| + p·Σ|g|
    cross_entropy    (p - t)·g:             |g|·(p·(P + L) + 3·(p + t)), with difference, quotient by the batch, product

where σ = C/2·√n as for any sum (`bound`), and p from the logarithm has the logarithm's error (L + 1)·|log p| + |M| + B.
Twice that for two implementations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from layerdiff.compare.allowance.accumulation import CONSTANT
from layerdiff.compare.allowance.rule import smallest_normal, unit_roundoff
from layerdiff.compare.allowance.smooth import LIBRARY
from layerdiff.compare.gradients.bound import Allowed
from layerdiff.compare.trace import Array, Op

__all__ = ["cross_entropy", "log_softmax", "softmax"]


def softmax(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """2·u·p·((P + 2)·(|g| + Σ|g|p) + Σ|g|·p·(P + σ))."""
    dim = _dim(op, inputs, covector)
    if dim is None:
        return None
    shares, _, of_shares, order = _shares(inputs[0], dim)
    g = np.abs(covector, dtype=np.float64)
    total = (g * shares).sum(axis=dim, keepdims=True)
    of_total = (g * shares * (of_shares + order)).sum(axis=dim, keepdims=True)
    return _twice(shares * ((of_shares + 2) * (g + total) + of_total), g + total, inputs[0], dim)


def log_softmax(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """2·u·(p·Σ|g|·(P' + L + σ + 2) + |g|), with P' of shares taken from their logarithms."""
    dim = _dim(op, inputs, covector)
    if dim is None:
        return None
    shares, of_logarithms, _, order = _shares(inputs[0], dim)
    g = np.abs(covector, dtype=np.float64)
    total = g.sum(axis=dim, keepdims=True)
    return _twice(shares * total * (of_logarithms + LIBRARY + order + 2) + g, g + total, inputs[0], dim)


def cross_entropy(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """2·u·|g|·(p·(P' + L) + 3·(p + t)) for the logits, |g| the gradient of each example's loss; labels have none."""
    if not _is_known(op, inputs, covector):
        return None
    logits, labels = inputs
    shares, of_logarithms, _, _ = _shares(logits, 1)
    smoothing = abs(float(str(op.attributes.get("label_smoothing", 0.0))))
    target = np.full_like(shares, smoothing / logits.shape[1])
    target[np.arange(len(labels)), labels] += 1
    g = np.abs(covector, dtype=np.float64).reshape(-1, 1)
    if op.attributes.get("reduction") == "mean":
        g = g / len(logits)
    return Allowed(
        (*_twice(g * (shares * (of_logarithms + LIBRARY) + 3 * (shares + target)), g, logits, 1).inputs, None)
    )


def _shares(x: Array, dim: int) -> tuple[Array, Array, Array, float]:
    """p, its relative error taken from logarithms and taken by itself, and that of a sum along the axis."""
    n, wide = x.shape[dim], x.astype(np.float64)
    largest = wide.max(axis=dim, keepdims=True)
    powers = np.exp(wide - largest)
    total = powers.sum(axis=dim, keepdims=True)
    logarithms = np.abs(wide - largest - np.log(total))
    rest = np.abs(largest) + n + (LIBRARY + 2) * math.log(n) + 2 * LIBRARY + 1
    return powers / total, (LIBRARY + 1) * logarithms + rest, logarithms + rest, CONSTANT / 2 * math.sqrt(n)


def _twice(errors: Array, size: Array, x: Array, dim: int) -> Allowed:
    # A share that underflows loses at most the smallest normal number, and so does its product.
    lost = smallest_normal(x.dtype) * (1 + size) * x.shape[dim]
    return Allowed((2 * (unit_roundoff(x.dtype) * errors + lost),))


def _dim(op: Op, inputs: Sequence[Array], covector: Array) -> int | None:
    dim = op.attributes.get("dim")
    if len(inputs) != 1 or inputs[0].shape != covector.shape or not isinstance(dim, int):
        return None
    return dim if -covector.ndim <= dim < covector.ndim and covector.shape[dim] > 0 else None


def _is_known(op: Op, inputs: Sequence[Array], covector: Array) -> bool:
    if len(inputs) != 2 or inputs[0].ndim != 2 or inputs[0].shape[1] == 0 or "weight" in op.parameters:
        return False
    logits, labels = inputs
    reduced = op.attributes.get("reduction") in {"mean", "sum"} and covector.shape == ()
    return (
        labels.shape == logits.shape[:1]
        and np.issubdtype(labels.dtype, np.integer)
        and bool(((labels >= 0) & (labels < logits.shape[1])).all())
        and (reduced or (op.attributes.get("reduction") == "none" and covector.shape == labels.shape))
    )
