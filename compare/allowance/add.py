"""The allowance of an addition or a difference: one rounding on each side.

IEEE addition is rounded correctly, so two separate additions of the same numbers are equal; one that is fused into the
product before it is not, and then differs by one rounding of its own and one of the sum's. Where the other term is a
number in the code, and no input, it is the difference of the output and the input.
"""

from __future__ import annotations

import numpy as np

from layerdiff.compare.allowance.rule import Array, Call, Rule, unit_roundoff
from layerdiff.compare.pieces import PIECE, flat, pieces

__all__ = ["ADD", "add_scale"]


def add_scale(call: Call, times: float = 1.0) -> Array:
    """u·(|a| + |b|), `times` as much, in the output's shape, float64."""
    a = call.inputs[0]
    b = call.inputs[1] if len(call.inputs) == 2 else np.subtract(call.output, a, dtype=np.float64)
    if a.shape != b.shape:
        a, b = np.broadcast_arrays(a, b)
    scale = np.empty(a.shape)
    first, second, both = flat(a), flat(b), flat(scale)
    buffer = np.empty(min(PIECE, scale.size))
    for at in pieces(scale.size):
        total, other = both[at], buffer[: at.stop - at.start]
        total[...], other[...] = first[at], second[at]
        np.abs(total, out=total)
        total += np.abs(other, out=other)
        total *= times * unit_roundoff(a.dtype)
    return scale


ADD = Rule(
    add_scale,
    2.0,
    "counted: one rounding in each implementation",
    lambda call: len(call.inputs) in {1, 2},
    takes_times=True,
)
