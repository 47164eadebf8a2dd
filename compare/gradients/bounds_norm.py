"""The gradients of batch normalisation: by given statistics, and by the batch's own, where the roundings are counted.

With g the gradient of the output, r = 1/√(v + ε), s = γ·r, N values in a channel, means over them; u the unit roundoff,
C the constant of sums and σ = C/2·√(N·m), what one sum of N terms errs by in units of u·Σ|t|; m is 1 unless values of a
channel are equal (`bound`). It is counted in x for the sums of x alone, in g for those with g.

**Statistics given** (eval mode).

    dx = s·g            s 4u as in the forward (`allowance.batch_norm`), product u: 5 in each implementation
    dγ = Σ g·(x - m)·r  or r·Σ g·x - m·r·Σ g: in either form terms of |g|·(|x| + |m|)·r at most; difference, r and
                        two products: 6 beside the sum of N
    dβ = Σ g            a sum

**Statistics of the batch.** dx = s·(g - a - x̂·b) with a = mean g, b = mean(g·x̂), x̂ = (x - m)·r, dγ = N·b, dβ = N·a.
In units of u, each a bound on one implementation:

    m           (σ + 1)·mean|x|. Badly centred, that is more than all that follows: it grows with |mean|/std.
    x - m       D = |x - m| + (σ + 1)·mean|x|
    v           mean(2·|x - m|·D + u·D²) + (σ + 2)·v, biased, in two passes or by Welford's updates, whose running mean
                errs by no more than m; not as mean(x²) - m², which loses (mean/std)² (Chan, Golub & LeVeque 1983)
    r           ρ = ((1 - t)^(-1/2) - 1)/u + 2 with t = u·(v's error/(v + ε) + 2); root and reciprocal; to first order
                half of v's. v is not negative, so 1 - t is at least ε/(v + ε)
    x̂           X = r·(D·(1 + uρ) + (ρ + 1)·|x - m|)
    a           α = (σ + 1)·mean|g|
    b           β = mean(|g|·X) + (σ + 1)·mean(|g|·x̂)
    g - a - x̂b  α + x̂·β + X·b, and in the form of the six equations of Ioffe & Szegedy, whose gradient of m has a
                term -2·mean(x - m) that is only zero without rounding, b·(mean X + σ·mean x̂)
    roundings   s and its powers and products, two differences: at most ρ + 8 of |g| + mean|g| + x̂·b

x̂ and b stand for what they can be at most, |x̂| + u·X and |b| + u·β, so that terms of second order are kept: in float32
they count where |mean|/std is above some thousands. Two implementations lie apart by at most twice that:

    dx:  2·u·|s|·(1 + uρ)·(α + x̂·β + X·b + b·(mean X + σ·mean x̂) + (ρ + 8)·(|g| + mean|g| + x̂·b))
    dγ:  2·u·N·β        dβ:  C·u·√(N·m)·Σ|g|

Measured: torch, the handwritten NumPy layer, the six equations with sums made one after the other, and autograd through
a batch norm written in means and variances, in float32 and float64, of 2 to 50,176 values in a channel whose mean is 0
to 100,000 deviations away. A half of the allowance is one implementation's own; none used more than 0.08 of that of dx,
0.17 of that of dγ, 0.19 of that of dβ: margins of 6, 2.9 and 2.6. In eval mode: 0.34 (counted), 0.06, 0.06. The margin
is widest for large N, where partial sums of both signs stay far below Σ|t|.

Source: Ioffe & Szegedy 2015, section 3, for the gradients; Higham, Accuracy and Stability of Numerical Algorithms, 2nd
ed., sections 1.9 and 3.1, for the variance in two passes and the counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from layerdiff.compare.allowance.accumulation import CONSTANT
from layerdiff.compare.allowance.rule import smallest_normal, unit_roundoff
from layerdiff.compare.gradients.bound import Allowed, alike, of_sum
from layerdiff.compare.trace import Array, Op

__all__ = ["batch_norm"]


def batch_norm(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """The allowances of the gradients of x (n, c, h, w), of weight and of bias (c,)."""
    if not _is_known(op, inputs, covector):
        return None
    (x,) = inputs
    # Without running estimates it always goes by the batch.
    by_batch = bool(op.attributes.get("training", False)) or "running_mean" not in op.parameters
    g = np.abs(covector, dtype=np.float64)
    found = _by_batch(op, x, covector) if by_batch else _by_estimates(op, x, covector)
    dx, along = found
    dbeta = of_sum(_count(x) * alike(covector), g.sum(axis=_axes(x)), x.dtype)
    of_role = {"weight": along, "bias": dbeta}
    return Allowed((dx,), {role: array for role, array in of_role.items() if role in op.parameters})


def _by_estimates(op: Op, x: Array, covector: Array) -> tuple[Array, Array]:
    """10·u·|s·g|, and C·u·√(N·m + 6)·Σ|g|·(|x| + |m|)·r."""
    mean, var = _column(op, "running_mean", x), _column(op, "running_var", x)
    inverse = 1 / np.sqrt(var + _eps(op))
    scale = inverse * _gamma(op, x)
    g = np.abs(covector, dtype=np.float64)
    dx = 10 * unit_roundoff(x.dtype) * scale * g + smallest_normal(x.dtype) * (1 + scale)
    terms = g * (np.abs(x, dtype=np.float64) + np.abs(mean)) * inverse
    return dx, of_sum(_count(x) * alike(covector) + 6, terms.sum(axis=_axes(x)), x.dtype)


@dataclass(frozen=True)
class _Normalised:
    """The batch's own statistics at work, and what they err by in units of u.

    Attributes:
        inverse: r, (1, c, 1, 1).
        of_inverse: ρ, relative.
        values: x̂, of the input's shape.
        of_values: X.
    """

    inverse: Array
    of_inverse: Array
    values: Array
    of_values: Array


def _normalised(x: Array, eps: float, unit: float, order: Array) -> _Normalised:
    wide, axes = x.astype(np.float64), _axes(x)
    centred = wide - wide.mean(axis=axes, keepdims=True)
    var = np.square(centred).mean(axis=axes, keepdims=True)
    size = np.abs(centred)
    of_centred = size + (order + 1) * np.abs(wide).mean(axis=axes, keepdims=True)
    of_var = (2 * size * of_centred + unit * of_centred**2).mean(axis=axes, keepdims=True) + (order + 2) * var
    least = np.maximum(eps / (var + eps), unit)
    left = np.maximum(1 - unit * (of_var / (var + eps) + 2), least)
    of_inverse = (left**-0.5 - 1) / unit + 2
    inverse = 1 / np.sqrt(var + eps)
    of_values = inverse * (of_centred * (1 + unit * of_inverse) + (of_inverse + 1) * size)
    return _Normalised(inverse, of_inverse, centred * inverse, of_values)


def _by_batch(op: Op, x: Array, covector: Array) -> tuple[Array, Array]:
    """The two formulas of the module, for dx and dγ."""
    unit, count, axes = unit_roundoff(x.dtype), _count(x), _axes(x)
    of_x, of_g = (CONSTANT / 2 * np.sqrt(count * _row(alike(array), x)) for array in (x, covector))

    def mean(array: Array) -> Array:
        return np.asarray(array.mean(axis=axes, keepdims=True))

    found = _normalised(x, _eps(op), unit, of_x)
    g, error = np.abs(covector, dtype=np.float64), found.of_values
    hat = np.abs(found.values) + unit * error
    average = mean(g)
    of_along = mean(g * error) + (of_g + 1) * mean(g * hat)
    along = np.abs(mean(covector * found.values)) + unit * of_along
    inner = (of_g + 1) * average + hat * of_along + error * along + along * (mean(error) + of_x * mean(hat))
    inner += (found.of_inverse + 8) * (g + average + hat * along)
    scale = found.inverse * _gamma(op, x) * (1 + unit * found.of_inverse)
    lost = smallest_normal(x.dtype) * (1 + scale) * (1 + hat) * count
    return 2 * (unit * scale * inner + lost), 2 * count * (unit * of_along + smallest_normal(x.dtype)).reshape(-1)


def _axes(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _count(x: Array) -> int:
    return int(x.size // x.shape[1])


def _column(op: Op, name: str, x: Array) -> Array:
    return _row(op.parameters[name].astype(np.float64), x)


def _row(array: Array, x: Array) -> Array:
    return array.reshape((1, -1, *(1 for _ in x.shape[2:])))


def _gamma(op: Op, x: Array) -> Array | float:
    return np.abs(_column(op, "weight", x)) if "weight" in op.parameters else 1.0


def _eps(op: Op) -> float:
    return float(str(op.attributes["eps"]))


def _is_known(op: Op, inputs: Sequence[Array], covector: Array) -> bool:
    if len(inputs) != 1 or inputs[0].ndim < 2 or inputs[0].shape != covector.shape or inputs[0].size == 0:
        return False
    roles = {"weight", "bias", "running_mean", "running_var"} & set(op.parameters)
    return (
        len(roles & {"running_mean", "running_var"}) != 1
        and all(op.parameters[role].shape == inputs[0].shape[1:2] for role in roles)
        and isinstance(op.attributes.get("eps"), int | float)
    )
