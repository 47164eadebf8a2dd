"""Small tools to solve for a value: whether two arrays are equal but for rounding, and the roundest number there is."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from layerdiff.compare.allowance import unit_roundoff
from layerdiff.compare.trace import Array

__all__ = ["factor", "near", "ratios", "roundest", "snapped", "spelled", "tolerance"]

_LOOSE = 2.0**13
"""Roundings that a look beforehand lets pass; whether a model explains a candidate is for `trial` to say."""


_MEANT = 6
"""Digits of a number that somebody wrote down."""


def tolerance(array: Array) -> float:
    """A bound below which no difference is worth a look; coarse, and never a verdict."""
    finite = np.abs(array[np.isfinite(array)]) if not np.isfinite(array).all() else np.abs(array)
    dtype = array.dtype if np.issubdtype(array.dtype, np.floating) else np.dtype(np.float64)
    return _LOOSE * unit_roundoff(dtype) * float(finite.max(initial=0.0))


def near(one: Array, other: Array) -> bool:
    """Whether two arrays have one shape and are equal but for rounding, on a coarse look."""
    if one.shape != other.shape or not one.size:
        return False
    with np.errstate(all="ignore"):
        apart = float(np.abs(one - other).max())
    return apart <= max(tolerance(one), tolerance(other))


def factor(part: Array, whole: Array) -> float | None:
    """The roundest number k with `part` = k · `whole` but for rounding; None where there is none, or it is 0 or 1."""
    if part.shape != whole.shape or not part.size or not np.isfinite(part).all():
        return None
    square = float(np.vdot(whole, whole))
    found = float(np.vdot(part, whole)) / square if square else 0.0
    if not found or not near(part, found * whole):
        return None
    k = snapped(found, _LOOSE / 8 * unit_roundoff(part.dtype) * abs(found))
    return None if k == 1 else k


def ratios(part: Array, whole: Array, *, roundings: float = 2.0) -> tuple[float, float] | None:
    """The range of the one number k with `part` = k · `whole`; None where there is none.

    Args:
        part: any shape.
        whole: of the same shape, without zeros.
        roundings: how many may lie in each element of `part`.
    """
    if not part.size:
        return None
    with np.errstate(all="ignore"):
        found = np.divide(part, whole, dtype=np.float64)
    room = roundings * unit_roundoff(part.dtype)
    low, high = float((found - room * np.abs(found)).max()), float((found + room * np.abs(found)).min())
    return (low, high) if low <= high and math.isfinite(low) and math.isfinite(high) else None


def roundest(low: float, high: float) -> float:
    """The number with the fewest digits from `low` to `high`; among equally short ones the nearest to their middle."""
    if low <= 0 <= high:
        return 0.0
    middle = (low + high) / 2
    for digits in range(1, 18):
        found = float(f"{middle:.{digits - 1}e}")
        if low <= found <= high:
            return found
    return middle


def snapped(found: float, error: float) -> float:
    """The number that was meant: a short decimal or the reciprocal of a whole number within the error; else `found`.

    A value that was fitted is better than its error says, so that a number with many digits is no better a guess.
    """
    inverse = round(1 / found) if found else 0
    # Reciprocals lie close to one another where they are small: there it would be luck to meet one.
    if inverse and abs(1 / found - inverse) <= error / found**2 < 0.01:
        return 1 / inverse
    short = roundest(found - error, found + error)
    return short if len(f"{short:.16g}".lstrip("-0.").replace(".", "")) <= _MEANT else found


def spelled(value: float) -> str:
    """A number as people write it: `3`, `0.1`, `1/49`."""
    if value == int(value):
        return str(int(value))
    short = f"{value:.6g}"
    if float(short) == value:
        return short
    fraction = Fraction(value).limit_denominator(1 << 16)
    if abs(float(fraction) - value) <= 1e-12 * abs(value):
        return str(fraction)
    return f"{value:.10g}"
