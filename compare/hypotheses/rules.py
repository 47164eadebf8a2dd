"""Allowances of the operations that only hypotheses contain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from layerdiff.compare.allowance import RULES, Call, Rule, unit_roundoff
from layerdiff.compare.allowance.accumulation import CONSTANT
from layerdiff.compare.allowance.batch_norm import BATCH_NORM
from layerdiff.compare.allowance.linear import LINEAR
from layerdiff.compare.allowance.rule import smallest_normal
from layerdiff.compare.trace import Array

__all__ = ["KIT_RULES"]


def _smooth(call: Call) -> Array:
    """One rounding of what an elementwise function takes and one of what it gives, its slope being about 1 at most."""
    roundoff = unit_roundoff(call.output.dtype)
    scale: Array = roundoff * (np.abs(call.inputs[0]) + np.abs(call.output))
    return scale


_SMOOTH = Rule(
    _smooth, 16, "a library's exp, erf or tanh is good to a few units in the last place (glibc's manual, 'Errors in "
    "Math Functions'), and two ways to write one function differ by a few operations more"
)  # fmt: skip


def _own_statistics(call: Call) -> Array:
    """What n elements' own mean and variance may err by, and then what a batch norm with exact ones may.

    The mean is a sum of n terms x/n. Rounding errors of a sum grow with sqrt(n) (see `allowance.accumulation`), so it
    errs by about u sqrt(n) mean|x|. The variance is a mean of squares of one sign: relative to them it errs by
    u sqrt(n); written as mean(x^2) - mean(x)^2 the squares are those of x itself, so the bound that holds for both
    ways is u sqrt(n) mean(x^2). The output y = (x - mean) s + bias with s = weight/sqrt(var + eps) moves by |s| for
    each unit of the mean, and, as ds/s = -dvar/(2 (var + eps)), by |x - mean| |s|/(2 (var + eps)) for each unit of the
    variance. Two implementations may err in opposite directions, hence the constant of a sum for both. With the
    statistics given, the roundings of a batch norm remain.
    """
    (x,), dims = call.inputs, call.attributes["dims"]
    wide = x.astype(np.float64)
    n = math.prod(x.shape[dim] for dim in dims)
    mean, variance = wide.mean(axis=dims, keepdims=True), wide.var(axis=dims, keepdims=True)
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    weight = np.abs(call.parameters["weight"].astype(np.float64)).reshape(shape) if "weight" in call.parameters else 1.0
    bias = np.abs(call.parameters["bias"].astype(np.float64)).reshape(shape) if "bias" in call.parameters else 0.0
    spread = variance + call.attributes["eps"]
    slope = weight / np.sqrt(spread)
    centred = np.abs(wide - mean)
    of_mean = np.abs(wide).mean(axis=dims, keepdims=True)
    of_variance = centred * np.square(wide).mean(axis=dims, keepdims=True) / (2 * spread)
    sums = CONSTANT * math.sqrt(n) * slope * (of_mean + of_variance)
    rest = BATCH_NORM.constant * ((np.abs(wide) + np.abs(mean)) * slope + bias)
    scale: Array = unit_roundoff(x.dtype) * (sums + rest) + smallest_normal(x.dtype) * (1 + slope)
    return scale


_OWN_STATISTICS = Rule(
    _own_statistics, 1, "sums of n terms err by sqrt(n) roundings, and what is done with them by those of a batch norm"
)


def _linear_head(call: Call) -> Array:
    """What a linear layer is allowed, carried through the functions behind it, and what those add.

    Let z move by a. Then softmax, p = exp(z)/sum exp(z), moves by p_i |a_i - sum p_j a_j| <= p_i (a_i + sum p_j a_j);
    its logarithm by a_i + sum p_j a_j; the logistic function by p (1 - p) a. Of their own they err, in units of u: exp
    of a number that was rounded by that number's size, relatively, and a few units of the library's, and the sum of
    the n exponentials by sqrt(n), relatively, as all of them are positive. 16 is the library's, as in `_SMOOTH`.
    """
    weight = call.parameters["weight"].astype(np.float64)
    z = call.inputs[0].astype(np.float64) @ weight.T + call.parameters.get("bias", np.zeros(1)).astype(np.float64)
    moved, dim = LINEAR.constant * LINEAR.scale(call), call.attributes["dim"]
    roundoff = unit_roundoff(call.output.dtype)
    for name in call.attributes["functions"]:
        if name == "sigmoid":
            p = np.exp(-np.logaddexp(0, -z))
            moved = p * (1 - p) * moved + 16 * roundoff * p * (1 + np.abs(z))
            z = p
            continue
        high = z.max(axis=dim, keepdims=True)
        log_p = z - high - np.log(np.exp(z - high).sum(axis=dim, keepdims=True))
        p = np.exp(log_p)
        own = roundoff * (np.abs(z) + np.abs(high) + 16 + CONSTANT * math.sqrt(z.shape[dim]))
        moved = moved + (p * moved).sum(axis=dim, keepdims=True) + own
        moved, z = (moved + 16 * roundoff * np.abs(log_p), log_p) if name == "log_softmax" else (p * moved, p)
    scale: Array = moved + smallest_normal(call.output.dtype)
    return scale


_LINEAR_HEAD = Rule(
    _linear_head, 1, "a linear layer's allowance through the slope of what follows, and the rounding of that",
    lambda call: LINEAR.applies(call) and call.inputs[0].ndim == 2,
)  # fmt: skip

_RULED = Rule(
    lambda call: call.attributes["allowance"](call), 1.0, "it brings its own, see `ruled`",
    lambda call: callable(call.attributes.get("allowance")),
)  # fmt: skip

KIT_RULES: Mapping[str, Rule] = MappingProxyType(
    {**RULES, **dict.fromkeys(("gelu", "silu", "elu", "selu", "celu", "sigmoid", "tanh", "softplus", "mish",
                               "hardswish", "softmax", "log_softmax"), _SMOOTH),
     "ruled": _RULED, "own_statistics": _OWN_STATISTICS, "linear_head": _LINEAR_HEAD}
)  # fmt: skip
"""The rules of `allowance`, and those of operations that no expected network here has."""
