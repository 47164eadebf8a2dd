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


def _applies(call: Call) -> bool:
    weight, bias = call.parameters.get("weight"), call.parameters.get("bias")
    return (
        len(call.inputs) == 1
        and weight is not None
        and weight.ndim == 2
        and weight.shape == (call.output.shape[-1], call.inputs[0].shape[-1])
        and (bias is None or bias.shape == weight.shape[:1])
    )


LINEAR = Rule(linear_scale, CONSTANT, WHY, _applies)
