"""The allowance of batch normalisation in eval mode: few roundings, so they are counted, not measured.

y = (x - m)·s + β with s = γ/√(v + ε). To first order in u, for the two ways in which it is written:

    s            v + ε and the rounding of ε itself 2u, halved by the root; root u; reciprocal u; product with γ u: 4u
    (x - m)·s + β    difference u, s 4u, product u, sum u:                       7u·|x - m||s| + u·|β|
    x·s + (β - m·s)  s 4u, product u, sum u; and m·s 5u, difference u, sum u:    7u·(|x| + |m|)|s| + 2u·|β|

Both are within 7u·((|x| + |m|)·|s| + |β|), and two implementations within twice that: the constant is 14, a bound that
needs no margin. docs/allowance.md shows what was measured beside it.

Source: Ioffe & Szegedy 2015, algorithm 1; torch.nn.BatchNorm2d for the form.
"""

from __future__ import annotations

import numpy as np

from layerdiff.compare.allowance.rule import Array, Call, Rule, smallest_normal, unit_roundoff

__all__ = ["BATCH_NORM", "batch_norm_scale"]


def batch_norm_scale(call: Call) -> Array:
    """u·((|x| + |m|)·|s| + |β|): (n, c, h, w) float64."""
    (x,) = call.inputs
    dtype = x.dtype
    mean, var = (_column(call.parameters[name]) for name in ("running_mean", "running_var"))
    gamma = _column(call.parameters["weight"]) if "weight" in call.parameters else 1.0
    beta = _column(call.parameters["bias"]) if "bias" in call.parameters else 0.0
    stretch = np.abs(gamma) / np.sqrt(var + call.attributes["eps"])
    scale = np.abs(x, dtype=np.float64)
    scale += np.abs(mean)
    scale *= stretch
    scale += np.abs(beta)
    scale *= unit_roundoff(dtype)
    scale += smallest_normal(dtype) * (1 + stretch)
    return scale


def _column(array: Array) -> Array:
    return array.astype(np.float64).reshape(1, -1, 1, 1)


BATCH_NORM = Rule(batch_norm_scale, 14.0, "counted: each implementation makes at most 7 roundings")
