"""Allowances of the operations that only hypotheses contain."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from layerdiff.compare.allowance import RULES, Call, Rule, unit_roundoff
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

KIT_RULES: Mapping[str, Rule] = MappingProxyType(
    {**RULES, **dict.fromkeys(("gelu", "silu", "elu", "selu", "celu", "sigmoid", "tanh", "softplus", "mish",
                               "hardswish", "softmax", "log_softmax"), _SMOOTH)}
)  # fmt: skip
"""The rules of `allowance`, and those of activations that no expected network here has."""
