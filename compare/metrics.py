"""The comparison of two arrays, as data; what follows from it is decided elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from layerdiff.compare.pieces import PIECE, flat, pieces
from layerdiff.compare.result import Measure, Probe
from layerdiff.compare.trace import Array

__all__ = ["equal", "measure"]


def measure(probe: Probe, expected: Array, actual: Array, allowance: Array | float) -> Measure:
    """How far `actual` lies from `expected`, in units of the allowance, over all finite elements.

    Args:
        probe: what the arrays are, for the record.
        expected: any shape, not empty.
        actual: the same shape and dtype.
        allowance: the largest error that rounding explains; broadcasts to that shape. One that is NaN or negative
            allows nothing.

    Raises:
        ValueError: nothing to compare, or shapes or dtypes that differ: the caller must have looked before.
    """
    if expected.shape != actual.shape or expected.dtype != actual.dtype or expected.size == 0:
        raise ValueError(
            f"measure: got {actual.dtype}{actual.shape}, expected {expected.dtype}{expected.shape}, not empty"
        )
    allowance = np.asarray(allowance, dtype=np.float64)
    with np.errstate(all="ignore"):
        found = _ordinary(expected, actual, allowance) or _extraordinary(expected, actual, allowance)
    at = np.unravel_index(found.flat, expected.shape)
    return Measure(
        probe=probe,
        dtype=expected.dtype.name,
        size=expected.size,
        over=found.over,
        max_abs=found.max_abs,
        ratio=found.ratio,
        index=tuple(int(i) for i in at),
        expected=_finite(expected[at]),
        actual=_finite(actual[at]),
        allowed=_as_number(np.broadcast_to(allowance, expected.shape)[at]),
        nonfinite_expected=found.nonfinite[0],
        nonfinite_actual=found.nonfinite[1],
    )


def equal(probe: Probe, array: Array) -> Measure:
    """What `measure` gives for an array and one that is the same to the bit, but for the allowance, which is left out.

    Every error is zero whatever is allowed; elements that are not finite are counted on both sides, as there.
    """
    first = _finite(array.flat[0])
    # A sum is finite only if every element is: one pass, and a second one only where that says no.
    bad = 0 if np.isfinite(array.sum()) else int(array.size - np.isfinite(array).sum())
    at = (0,) * array.ndim
    return Measure(probe, array.dtype.name, array.size, 0, 0.0, 0.0, at, first, first, None, bad, bad)


class _Found(NamedTuple):
    over: int
    max_abs: float
    ratio: float | None
    flat: int
    nonfinite: tuple[int, int] = (0, 0)


_FIRST = 1 << 10
_SMALLEST = float(np.finfo(np.float64).tiny)


def _ordinary(expected: Array, actual: Array, allowance: Array) -> _Found | None:
    """The same where everything is finite, and something is allowed everywhere; None where that is not so.

    Piece by piece, so that what is computed on the way stays in the processor's cache.
    """
    if allowance.size == 1 and expected.dtype.kind == "f":
        return _beside_one(flat(expected), flat(actual), float(allowance.reshape(())))
    return _beside_each(flat(expected), flat(actual), flat(np.broadcast_to(allowance, expected.shape)))


def _beside_one(expected: Array, actual: Array, allowed: float) -> _Found | None:
    """`_ordinary` where the same is allowed everywhere: (size,) each.

    The greatest error is then the one furthest out, and few elements can be it, or be over: a first look in the arrays'
    own precision tells which. There a subtraction rounds by at most half of eps, and flushes to zero at most the
    smallest normal number; so what lies below `near` is less than the greatest error by more than a quotient rounds,
    and not over. Where a ratio underflows, or a subtraction overflows, that is not so, and more is looked at.
    """
    if not allowed > 0:
        return None
    places = list(pieces(expected.size))
    rounded = [_largest(_apart(expected[at], actual[at])) for at in places]
    limits = np.finfo(expected.dtype)
    least = min(float(np.max(rounded)), float(limits.max), allowed)
    near = least * (1 - 8 * float(limits.eps)) - 2 * float(limits.tiny)
    if near / allowed < _SMALLEST:
        near = -np.inf
    over, greatest, worst, index = 0, 0.0, -1.0, 0
    # What is NaN is not below anything.
    for at in (place for place, high in zip(places, rounded, strict=True) if not high < near):
        want, have = expected[at], actual[at]
        apart = _apart(want, have)
        chosen = np.flatnonzero(~(np.abs(apart, out=apart) < near))
        error = np.abs(np.subtract(have[chosen], want[chosen], dtype=np.float64))
        largest = float(error.max())
        # A maximum is NaN or infinite if any element is.
        if not np.isfinite(largest):
            return None
        greatest = max(greatest, largest)
        ratios = error / allowed
        over += int(np.count_nonzero(ratios > 1))
        place = int(ratios.argmax())
        if ratios[place] > worst:
            worst, index = float(ratios[place]), at.start + int(chosen[place])
    return _Found(over, greatest, worst, index)


def _apart(want: Array, have: Array) -> Array:
    """The differences in the arrays' own precision: a new array, of the size of a piece."""
    return np.subtract(have, want)


def _largest(apart: Array) -> float:
    """The greatest magnitude, NaN where there is one."""
    return max(float(apart.max()), -float(apart.min()))


def _beside_each(expected: Array, actual: Array, allowed: Array) -> _Found | None:
    """`_ordinary` where every element is allowed something of its own: (size,) each.

    A quotient costs as much as three products, so a product says first which elements are further out than what was
    found before: an error that is truly less than the rounded product of a bound and a number is at most their exact
    product, and its quotient by the bound, rounded, at most the number. Beside a bound that is NaN, zero or negative
    nothing is less. The first piece is a short one, for a number to begin with.
    """
    over, greatest, worst, index = 0, 0.0, -1.0, 0
    errors, limits = np.empty((2, min(PIECE, expected.size)))
    below = np.empty(errors.size, np.bool_)
    for at in pieces(expected.size, first=_FIRST):
        size, bound = at.stop - at.start, allowed[at]
        error = np.subtract(actual[at], expected[at], dtype=np.float64, out=errors[:size])
        largest = float(np.abs(error, out=error).max())
        if not np.isfinite(largest):
            return None
        greatest = max(greatest, largest)
        limit = np.multiply(bound, min(max(worst, 0.0), 1.0), out=limits[:size])
        if np.less(error, limit, out=below[:size]).all():
            continue
        further = np.flatnonzero(~below[:size])
        bound = bound[further]
        if not bound.min() > 0:
            return None
        ratios = error[further] / bound
        over += int(np.count_nonzero(ratios > 1))
        place = int(ratios.argmax())
        if ratios[place] > worst:
            worst, index = float(ratios[place]), at.start + int(further[place])
    return _Found(over, greatest, worst, index)


def _extraordinary(expected: Array, actual: Array, allowance: Array) -> _Found:
    """Something is not finite, or nothing is allowed somewhere."""
    # Of a scalar NumPy would make a number, in which nothing can be set.
    error = np.asarray(np.abs(np.subtract(actual, expected, dtype=np.float64)))
    finite_expected, finite_actual = np.isfinite(expected), np.isfinite(actual)
    both, one = finite_expected & finite_actual, finite_expected != finite_actual
    # A difference that overflows is as large as a number can be; one of numbers that are not finite is none.
    error[both & ~np.isfinite(error)] = np.finfo(np.float64).max
    error[~both] = 0.0
    allowed = np.broadcast_to(allowance, error.shape)
    # Not `error > allowed`: an allowance that is NaN allows nothing.
    over = (both & ~(error <= allowed)) | one
    forbidden = over & (one | ~(allowed > 0))
    if forbidden.any():
        ratio, flat = None, int(np.argmax(np.where(forbidden, error + one, -1.0)))
    else:
        ratios = np.divide(error, allowed, out=np.zeros_like(error), where=allowed > 0)
        flat = int(np.argmax(ratios))
        ratio = float(ratios.flat[flat])
    nonfinite = (int(expected.size - finite_expected.sum()), int(actual.size - finite_actual.sum()))
    return _Found(int(over.sum()), float(error.max()), ratio, flat, nonfinite)


def _finite(value: object) -> float | None:
    number = float(value)  # type: ignore[arg-type]
    return number if np.isfinite(number) else None


def _as_number(value: object) -> float:
    """What is allowed, as a report holds it: NaN is nothing, and infinity the greatest number."""
    number = float(value)  # type: ignore[arg-type]
    most = float(np.finfo(np.float64).max)
    return 0.0 if np.isnan(number) else min(max(number, -most), most)
