"""The allowance of an addition or a difference: one rounding on each side.

IEEE addition is rounded correctly, so two separate additions of the same numbers are equal; one that is fused into the
product before it is not, and then differs by one rounding of its own and one of the sum's. Where the other term is a
number in the code, and no input, it is the difference of the output and the input.
"""

from __future__ import annotations

import numpy as np

from layerdiff.compare.allowance.rule import Array, Call, Rule, unit_roundoff

__all__ = ["ADD", "add_scale"]


def add_scale(call: Call) -> Array:
    """u·(|a| + |b|), in the output's shape, float64."""
    a = call.inputs[0]
    b = call.inputs[1] if len(call.inputs) == 2 else np.subtract(call.output, a, dtype=np.float64)
    return unit_roundoff(a.dtype) * (np.abs(a, dtype=np.float64) + np.abs(b, dtype=np.float64))


ADD = Rule(add_scale, 2.0, "counted: one rounding in each implementation", lambda call: len(call.inputs) in {1, 2})
