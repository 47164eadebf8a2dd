"""The allowance of softmax and its logarithm: roundings of the exponentials, and n of their sum.

p_i = e^(x_i - M)/s, s = Σ e^(x_j - M) over n values, M the largest; d_i = x_i - M. To first order in u, relative to p_i
or absolute in log p_i, with L = 8 for a library's function (see `smooth`):

    d_i is rounded: |d_i| <= |log p_i|. exp: L. So is each d_j of the sum, weighted: Σ p_j·|d_j| <= log n, since the
    entropy log s + Σ p_j·|d_j| is at most log n; and their exp: L.
    the sum of n terms: n - 1. All are positive, and where many are equal each addition is rounded the same way: the
    errors do not cancel, and √n, as for sums where they do (`accumulation`), is no bound (Higham, Accuracy and
    Stability of Numerical Algorithms, 2nd ed., section 4.2).
    softmax: e^d_i/s makes a quotient, or a reciprocal and a product: 2.
        |log p_i| + log n + 2L + n + 1
    written as exp(x_i - l) with l = M + log s: log s errs by L·log n of the library and by what s does, l is rounded,
    |M| + log n, and so is the difference, |log p_i|; exp: L.
        |log p_i| + |M| + (L + 2)·log n + 2L + n - 1
    its logarithm y_i: d_i - log s rounds d_i and y_i, 2·|y_i|, and has L·log n of the library and what s errs by;
    x_i - l as above without the last exp; the logarithm of softmax adds the library's L·|y_i|.
        (L + 1)·|y_i| + |M| + (L + 2)·log n + 2L + n + 1

So softmax errs by at most u·p·(|log p| + |M| + B) and its logarithm by u·((L + 1)·|y| + |M| + B), with
B = n + (L + 2)·log n + 2L + 1. Two implementations may err in opposite directions: the constant is 2, and needs no
margin. Source of the forms: Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions",
IMA J. Numer. Anal. 41, 2021.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from layerdiff.compare.allowance.rule import Array, Call, Rule, smallest_normal, unit_roundoff
from layerdiff.compare.allowance.smooth import LIBRARY

__all__ = ["LOG_SOFTMAX", "SOFTMAX", "log_softmax_scale", "shares_moved", "softmax_scale"]


def softmax_scale(call: Call) -> Array:
    """u·p·(|log p| + |M| + B), in the output's shape, float64."""
    shares = np.abs(call.output, dtype=np.float64)
    logarithms = np.abs(np.log(shares, out=np.zeros_like(shares), where=shares > 0))
    scale: Array = unit_roundoff(call.output.dtype) * shares * (logarithms + _of_axis(call))
    # A share that underflows loses at most the smallest normal number.
    return scale + smallest_normal(call.output.dtype)


def log_softmax_scale(call: Call) -> Array:
    """u·((L + 1)·|y| + |M| + B), in the output's shape, float64."""
    size: Array = (LIBRARY + 1) * np.abs(call.output, dtype=np.float64) + _of_axis(call)
    return unit_roundoff(call.output.dtype) * size


def shares_moved(kind: str, attributes: Mapping[str, Any], output: Array, before: Array) -> Array:
    """How far softmax or its logarithm moves when its inputs move by `before`: a_i + Σ p_j·a_j, times p_i for shares.

    Args:
        kind: softmax or log_softmax.
        attributes: with `dim`.
        output: what it gave.
        before: the greatest amount by which each input moves, not negative, float64.
    """
    wide = output.astype(np.float64)
    shares = wide if kind == "softmax" else np.exp(wide)
    moved: Array = before + (shares * before).sum(axis=attributes["dim"], keepdims=True)
    return moved * shares if kind == "softmax" else moved


def _of_axis(call: Call) -> Array:
    """|M| + B, broadcasting against the output."""
    (x,), dim = call.inputs, call.attributes["dim"]
    n = x.shape[dim]
    rest = n + (LIBRARY + 2) * math.log(n) + 2 * LIBRARY + 1
    found: Array = np.abs(x.max(axis=dim, keepdims=True), dtype=np.float64) + rest
    return found


def _applies(call: Call) -> bool:
    dim = call.attributes.get("dim")
    if len(call.inputs) != 1 or call.inputs[0].shape != call.output.shape or not isinstance(dim, int):
        return False
    shape = call.output.shape
    return -len(shape) <= dim < len(shape) and shape[dim] > 0


_WHY = "counted: each implementation makes a few roundings of exponentials, and n of their sum"
SOFTMAX = Rule(softmax_scale, 2.0, _WHY, _applies)
LOG_SOFTMAX = Rule(log_softmax_scale, 2.0, _WHY, _applies)
