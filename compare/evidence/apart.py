"""Two arrays and what is allowed between them: for each element how far they are apart, and whether that is too far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from layerdiff.compare.trace import Array

__all__ = ["Apart", "apart", "in_short"]


@dataclass(frozen=True)
class Apart:
    """How far two arrays of one shape are apart, element by element.

    Attributes:
        expected: one of them.
        actual: the other.
        error: |actual - expected| in float64; 0 where one is not finite.
        allowed: of the same shape, float64.
        ratio: of error and allowance; 0 where nothing is allowed, infinite where it is too large for a number.
        differs: where the values are not the same, or one alone is finite.
        over: where they are further apart than allowed.
        forbidden: where they differ though nothing is allowed, or one alone is finite: no ratio says how far.
    """

    expected: Array = field(repr=False)
    actual: Array = field(repr=False)
    error: NDArray[np.float64] = field(repr=False)
    allowed: NDArray[np.float64] = field(repr=False)
    ratio: NDArray[np.float64] = field(repr=False)
    differs: NDArray[np.bool_] = field(repr=False)
    over: NDArray[np.bool_] = field(repr=False)
    forbidden: NDArray[np.bool_] = field(repr=False)

    @property
    def gravity(self) -> NDArray[np.float64]:
        """By what elements for which there is no ratio are ordered: their error; -1 for all others."""
        finite = np.isfinite(self.expected) & np.isfinite(self.actual)
        return np.where(self.forbidden, self.error + ~finite, -1.0)


def apart(expected: Array, actual: Array, allowance: Array | float) -> Apart:
    """The distance of two arrays, by the same rules as `metrics.measure` has.

    Args:
        expected: any shape, not empty.
        actual: the same shape.
        allowance: broadcasts to that shape; NaN or negative allows nothing.
    """
    allowed = np.broadcast_to(np.asarray(allowance, dtype=np.float64), expected.shape)
    with np.errstate(all="ignore"):
        # Of a scalar NumPy would make a number, in which nothing can be set.
        error = np.asarray(np.abs(np.subtract(actual, expected, dtype=np.float64)))
        finite_expected, finite_actual = np.isfinite(expected), np.isfinite(actual)
        both, one = finite_expected & finite_actual, finite_expected != finite_actual
        # A difference that overflows is as large as a number can be; one of numbers that are not finite is none.
        error[both & ~np.isfinite(error)] = np.finfo(np.float64).max
        error[~both] = 0.0
        # Not `error > allowed`: an allowance that is NaN allows nothing.
        over = (both & ~(error <= allowed)) | one
        forbidden = over & (one | ~(allowed > 0))
        ratio = np.divide(error, allowed, out=np.zeros_like(error), where=allowed > 0)
    differs = np.asarray((error > 0) | one)
    return Apart(expected, actual, error, allowed, ratio, differs, np.asarray(over), np.asarray(forbidden))


def in_short(ratio: float) -> float | None:
    """A ratio to four digits, on the same side of 1; None for one that is too large for a number."""
    if not math.isfinite(ratio):
        return None
    short = float(f"{ratio:.4g}")
    return short if (short > 1) == (ratio > 1) else ratio
