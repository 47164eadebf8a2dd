"""The allowance of a linear layer: a sum of in_features products for each output; see `accumulation`."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.allowance.accumulation import CONSTANT, WHY, accumulation_scale
from layerdiff.compare.allowance.rule import Array, Call, Rule, unit_roundoff

__all__ = ["LINEAR", "linear_scale"]


def linear_scale(call: Call) -> Array:
    """u·√n·‖w_o‖·‖x‖ for output o and row x, plus u·|b_o|: (..., out_features) float64."""
    (x,), weight = call.inputs, call.parameters["weight"]
    rows = np.sqrt(np.einsum("...i,...i->...", x, x, dtype=np.float64))[..., None]
    norms = np.sqrt(np.einsum("oi,oi->o", weight, weight, dtype=np.float64))
    scale = accumulation_scale(weight.shape[1], norms, rows, x.dtype)
    bias = call.parameters.get("bias")
    if bias is not None:
        scale = scale + unit_roundoff(x.dtype) * np.abs(bias.astype(np.float64))
    return scale


LINEAR = Rule(linear_scale, CONSTANT, WHY)
