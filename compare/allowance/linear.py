"""The allowance of a linear layer: a sum of in_features products for each output; see `accumulation`."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.allowance.accumulation import CONSTANT, WHY, accumulation_scale
from layerdiff.compare.allowance.rule import Array, Call, Rule

__all__ = ["LINEAR", "linear_scale"]


def linear_scale(call: Call) -> Array:
    """u·√n·‖w_o‖·‖x‖ for output o and row x: (..., out_features) float64."""
    (x,), weight = call.inputs, call.parameters["weight"]
    rows = np.sqrt(np.einsum("...i,...i->...", x, x, dtype=np.float64))[..., None]
    norms = np.sqrt(np.einsum("oi,oi->o", weight, weight, dtype=np.float64))
    return accumulation_scale(weight.shape[1], norms, rows, x.dtype, bias=call.parameters.get("bias"))


LINEAR = Rule(linear_scale, CONSTANT, WHY)
