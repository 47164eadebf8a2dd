"""The allowance of a product, a quotient or a slope: one or two roundings on each side.

IEEE multiplication and division are rounded correctly: y errs by at most u·|y|, or by what underflow takes. A quotient
that is written as a product with the reciprocal rounds twice. So two implementations of either lie at most four
roundings apart; of a leaky ReLU, which is one product or none, at most two.
"""

from __future__ import annotations

import numpy as np

from layerdiff.compare.allowance.rule import Array, Call, Rule, smallest_normal, unit_roundoff

__all__ = ["PRODUCT", "SLOPE", "product_scale"]


def product_scale(call: Call) -> Array:
    """u·|y|, in the output's shape, float64."""
    dtype = call.inputs[0].dtype
    scale: Array = unit_roundoff(dtype) * np.abs(call.output, dtype=np.float64) + smallest_normal(dtype)
    return scale


def _applies(call: Call) -> bool:
    return bool(call.inputs)


PRODUCT = Rule(product_scale, 4.0, "counted: each implementation makes at most 2 roundings", _applies)
SLOPE = Rule(product_scale, 2.0, "counted: one rounding in each implementation", _applies)
