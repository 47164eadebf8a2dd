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

import math

import numpy as np

from layerdiff.compare.allowance.rule import Array, Call, Rule, smallest_normal, unit_roundoff
from layerdiff.compare.pieces import PIECE, pieces

__all__ = ["BATCH_NORM", "batch_norm_scale", "stretch"]


def batch_norm_scale(call: Call, times: float = 1.0) -> Array:
    """u·((|x| + |m|)·|s| + |β|), `times` as much: (n, c, h, w) float64.

    As |x| times one number for each channel, and another one added.
    """
    (x,) = call.inputs
    roundoff, slope = times * unit_roundoff(x.dtype), stretch(call)
    beta = np.abs(_column(call, "bias")) if "bias" in call.parameters else 0.0
    rest = roundoff * (np.abs(_column(call, "running_mean")) * slope + beta)
    rest += times * smallest_normal(x.dtype) * (1 + slope)
    slope = roundoff * slope
    scale = np.empty(x.shape)
    channels = max(1, PIECE // max(1, math.prod(x.shape[2:])))
    for image, into in zip(x, scale, strict=True):
        for at in pieces(len(image), first=channels, length=channels):
            part = into[at]
            part[...] = image[at]
            np.abs(part, out=part)
            part *= slope[0, at]
            part += rest[0, at]
    return scale


def stretch(call: Call) -> Array:
    """|γ|/√(v+ε) for each channel, float64, broadcasting against the input."""
    gamma = _column(call, "weight") if "weight" in call.parameters else 1.0
    found: Array = np.abs(gamma) / np.sqrt(_column(call, "running_var") + call.attributes["eps"])
    return found


def _column(call: Call, name: str) -> Array:
    shape = (1, -1, *(1 for _ in call.inputs[0].shape[2:]))
    return call.parameters[name].astype(np.float64).reshape(shape)


def _applies(call: Call) -> bool:
    (channels,) = call.inputs[0].shape[1:2] or (0,)
    names = {"running_mean", "running_var"} | ({"weight", "bias"} & set(call.parameters))
    return (
        len(call.inputs) == 1
        and names <= set(call.parameters)
        and all(call.parameters[name].shape == (channels,) for name in names)
        and isinstance(call.attributes.get("eps"), int | float)
    )


BATCH_NORM = Rule(
    batch_norm_scale, 14.0, "counted: each implementation makes at most 7 roundings", _applies, takes_times=True
)
