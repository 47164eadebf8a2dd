"""The allowance of smooth functions of one value: tanh, sigmoid, ELU, SELU, GELU, SiLU, softplus, Mish and their kin.

IEEE says nothing of exp, so each library has its own, and a layer may call tanh or be written out in exponentials. Both
are right. What one of them may err by is counted, to first order in u:

The library. glibc states at most 2 units in the last place for exp, expm1, log, erf and tanh on x86-64 (manual, "Errors
in Math Functions"), SLEEF 1 for those that torch calls, NumPy's own test sets up to 4 (float32: log 4, exp and expm1 3,
tanh 2). One unit is at most 2u of the value, so a library's function errs by at most L = 8, in units of u of its value.

The argument. A rounded argument moves the result by u·|x·f'(x)|. An exp that is taken as a power of 2 rounds x·log₂e
twice: exp then errs by 2u·|x| more. What becomes of that is bounded: 2·σ(1-σ)·|x| <= 0.45 for the sigmoid, twice that
for tanh, 2·eˣ·|x| <= 0.74 for ELU.

Cancellation. The usual forms take a difference of terms that may be far larger than the result. The terms' errors stay:

    tanh        (eˣ - e⁻ˣ)/(eˣ + e⁻ˣ)        L from the difference, (L + 3)·|y| from sum and quotient, 0.9 argument
                2·σ(2x) - 1                  L/2·(1 - y²) + 2·(1 + y) + |y|
    sigmoid     1/(1 + e⁻ˣ)                  L·(1 - σ)·σ + 2σ, 0.45 argument
                (1 + tanh(x/2))/2            (L + (L + 3) + 0.9)/2 + 2σ, its tanh written out
    ELU, x < 0  α·expm1(x)                   (L + 2)·|y|, with one rounding of α and one of the product
                α·(eˣ - 1)                   (L + 0.74)·|α|eˣ + 3·|y|, and |α|eˣ + |y| = |α|
    SELU, x < 0 the same with two factors    2·|y| more, and 2·|y| where x > 0
    GELU        x·(1 + erf(x/√2))/2          L/2·|x| + 0.5·|x| argument + 3·|y|
                its tanh form                (L + (L + 3) + 0.9 + 6·0.45)/2·|x| + 3·|y|, its tanh written out
    SiLU        x·σ(x)                       |x| times the sigmoid's, and |y|
    softplus    log(1 + e^βx)/β              (L·σ + 1 + 0.84)/β + (L + 4)·|y|
    Mish        x·tanh(softplus(x))          |x| times tanh's, and its slope 1 - tanh² times softplus'; and |y|

Each is at most 12u·(|y| + m), where m is 1 for tanh and sigmoid, |x| for GELU and SiLU, 1/β for softplus; at most
12u·|α| for ELU and 12u·αλ for SELU below zero; at most 16u·(|y| + |x|) for Mish. The piecewise linear ones have no
library in them: hardsigmoid, (x + 3)/6 or x/6 + 1/2, errs by at most 3u·(|y| + 1), and hardswish, x times that, by
4u·(|y| + |x|). Two implementations may err in opposite directions, so the constants are twice that: bounds that need no
margin. tests/compare/test_allowance_smooth.py measures how far real ones are from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from layerdiff.compare.allowance.rule import Array, Call, Rule, smallest_normal, unit_roundoff

__all__ = ["LIBRARY", "SMOOTH", "STEEPEST", "steepest_slope"]

LIBRARY = 8.0
"""What a library's exp, log, erf or tanh may err by, in units of u of its value: 4 units in the last place."""

_SELU_FLOOR = 1.7580993408473768599402175208123
_ROUNDINGS = 12.0

STEEPEST: Mapping[str, float] = MappingProxyType(
    {"tanh": 1.0, "sigmoid": 0.25, "softplus": 1.0, "hardsigmoid": 1 / 6, "selu": _SELU_FLOOR, "gelu": 1.13,
     "silu": 1.1, "mish": 1.09, "hardswish": 1.5}
)  # fmt: skip
"""By how much at most the output moves when the input moves by 1, rounded up; ELU's depends on its alpha."""


def steepest_slope(kind: str, attributes: Mapping[str, object]) -> float | None:
    """By how much at most the output moves when the input moves by 1; None where that is not known."""
    if kind == "elu":
        alpha = attributes.get("alpha")
        return max(1.0, abs(alpha)) if isinstance(alpha, int | float) else None
    return STEEPEST.get(kind)


def _beside_one(call: Call) -> Array:
    """u·(1 + |y|), in the output's shape, float64."""
    return _scale(call, np.abs(call.output, dtype=np.float64) + 1)


def _beside_input(call: Call) -> Array:
    """u·(|x| + |y|), in the output's shape, float64."""
    return _scale(call, np.abs(call.output, dtype=np.float64) + np.abs(call.inputs[0], dtype=np.float64))


def _softplus(call: Call) -> Array:
    """u·(1/β + |y|), in the output's shape, float64."""
    return _scale(call, np.abs(call.output, dtype=np.float64) + 1 / abs(call.attributes["beta"]))


def _elu(call: Call) -> Array:
    """u·|α| where x is negative, and nothing where y is x; in the output's shape, float64."""
    return _scale(call, np.where(call.inputs[0] < 0, np.float64(abs(call.attributes["alpha"])), 0.0))


def _selu(call: Call) -> Array:
    """u·αλ where x is negative; else u·|y|/6, 2 of the 12 roundings; in the output's shape, float64."""
    line = np.abs(call.output, dtype=np.float64) * (2 / _ROUNDINGS)
    return _scale(call, np.where(call.inputs[0] < 0, _SELU_FLOOR, line))


def _scale(call: Call, size: Array) -> Array:
    # An exponential that underflows loses at most the smallest normal number.
    scale: Array = unit_roundoff(call.output.dtype) * size + smallest_normal(call.output.dtype)
    return scale


def _applies(call: Call) -> bool:
    return len(call.inputs) == 1 and call.inputs[0].shape == call.output.shape


def _elu_applies(call: Call) -> bool:
    return _applies(call) and isinstance(call.attributes.get("alpha"), int | float)


def _softplus_applies(call: Call) -> bool:
    beta = call.attributes.get("beta")
    return _applies(call) and isinstance(beta, int | float) and beta != 0


_WHY = "counted: a library's function to 4 units in the last place and some roundings, in each implementation"
_LINES = "counted: each implementation makes at most {} roundings"

SMOOTH: Mapping[str, Rule] = MappingProxyType(
    {
        "tanh": Rule(_beside_one, 2 * _ROUNDINGS, _WHY, _applies),
        "sigmoid": Rule(_beside_one, 2 * _ROUNDINGS, _WHY, _applies),
        "elu": Rule(_elu, 2 * _ROUNDINGS, _WHY, _elu_applies),
        "selu": Rule(_selu, 2 * _ROUNDINGS, _WHY, _applies),
        "gelu": Rule(_beside_input, 2 * _ROUNDINGS, _WHY, _applies),
        "silu": Rule(_beside_input, 2 * _ROUNDINGS, _WHY, _applies),
        "softplus": Rule(_softplus, 2 * _ROUNDINGS, _WHY, _softplus_applies),
        "mish": Rule(_beside_input, 32.0, _WHY, _applies),
        "hardsigmoid": Rule(_beside_one, 6.0, _LINES.format(3), _applies),
        "hardswish": Rule(_beside_input, 8.0, _LINES.format(4), _applies),
    }
)
"""The rule of each of them, by torch.nn.functional's names."""
