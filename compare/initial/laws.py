"""Distributions that weights are drawn from, and how far a sample is from having come of one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from layerdiff.compare.initial.sample import Sample

__all__ = ["CUT", "Family", "Law", "deviation"]

Family = Literal["normal", "uniform", "truncated", "orthogonal"]

_BARELY = 1e-6
"""By how much float32's rounding may carry a value beyond its bound: a few units of 6e-8."""


@dataclass(frozen=True)
class _Figures:
    kurtosis: float
    flatness: float
    sway: float
    bound: float


def _figures(first: float, second: float, third: float, fourth: float, bound: float) -> _Figures:
    """Of a distribution around 0, from the means of |x|, x², |x|³ and x⁴, and the largest |x|."""
    root = math.sqrt(second)
    flat, kurtosis = first / root, fourth / second**2
    # The variance of |z| - flat·(z² + 1)/2, see `sample_of`.
    sway = 1 + flat**2 * (kurtosis + 3) / 4 - flat**2 - flat * third / root**3
    return _Figures(kurtosis, flat, sway, bound / root)


def _truncated() -> _Figures:
    """Of the normal distribution without what lies beyond 2: its density is integrated by parts."""
    at_0, at_2, inside = 1 / math.sqrt(2 * math.pi), math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
    second = 1 - 4 * at_2 / inside
    third = 2 * (2 * at_0 - 6 * at_2) / inside
    return _figures(2 * (at_0 - at_2) / inside, second, third, 3 * second - 16 * at_2 / inside, 2)


_TWO_OVER_PI = math.sqrt(2 / math.pi)
_NORMAL = _figures(_TWO_OVER_PI, 1, 2 * _TWO_OVER_PI, 3, math.inf)
_FIGURES: Mapping[Family, _Figures] = MappingProxyType(
    {
        "normal": _NORMAL,
        "uniform": _figures(1 / 2, 1 / 3, 1 / 4, 1 / 5, 1),
        "truncated": _truncated(),
        # A value of a long random vector of one length is normal but for the length, which is held: see `_errors`.
        "orthogonal": _NORMAL,
    }
)

CUT = 2 / _FIGURES["truncated"].bound
"""The standard deviation that is left of 1 where a normal distribution is cut off at two: 0.880."""


@dataclass(frozen=True)
class Law:
    """A distribution.

    Attributes:
        family: normal, uniform, normal cut off at two standard deviations (those before the cut), or orthogonal.
        std: its standard deviation, above 0.
        mean: around which it lies.
    """

    family: Family
    std: float
    mean: float = 0.0


def deviation(laws: Sequence[Law], samples: Sequence[Sample]) -> float:
    """By how many standard errors samples are apart from what their laws say, each by itself and all together.

    Args:
        laws: one for each sample, all of one family.
        samples: at least one, of several values each.

    Returns:
        The greatest, over mean, standard deviation and flatness; infinite where a value lies outside of its law, or
        where something is orthogonal and should not be, or the other way round.
    """
    figures = _FIGURES[laws[0].family]
    if any(_impossible(law, sample, figures.bound) for law, sample in zip(laws, samples, strict=True)):
        return math.inf
    # What each value adds to a figure has these variances.
    spread = (1.0, (figures.kurtosis - 1) / 4, figures.sway)
    offs = [_offs(law, sample, figures) for law, sample in zip(laws, samples, strict=True)]
    worst = 0.0
    for i, variance in enumerate(spread):
        alone = [abs(off[i]) * math.sqrt(sample.n / variance) for off, sample in zip(offs, samples, strict=True)]
        weighed = sum(off[i] * sample.n for off, sample in zip(offs, samples, strict=True))
        together = abs(weighed) / math.sqrt(variance * sum(sample.n for sample in samples))
        worst = max(worst, together, *alone)
    return worst


def _impossible(law: Law, sample: Sample, bound: float) -> bool:
    if sample.odd or sample.constant is not None or sample.std == 0:
        return True
    if sample.orthogonal is not (law.family == "orthogonal"):
        return True
    reach = max(sample.high - law.mean, law.mean - sample.low)
    return reach > bound * law.std * (1 + _BARELY) + _BARELY * abs(law.mean)


def _offs(law: Law, sample: Sample, figures: _Figures) -> tuple[float, float, float]:
    return (
        (sample.mean - law.mean) / law.std,
        math.log(sample.std / law.std),
        sample.flatness - figures.flatness,
    )
