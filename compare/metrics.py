"""The comparison of two arrays, as data; what follows from it is decided elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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
    flat = found.flat
    return Measure(
        probe=probe,
        dtype=expected.dtype.name,
        size=expected.size,
        over=found.over,
        max_abs=found.max_abs,
        ratio=found.ratio,
        index=tuple(int(i) for i in np.unravel_index(flat, expected.shape)),
        expected=_finite(expected.flat[flat]),
        actual=_finite(actual.flat[flat]),
        allowed=float(np.nan_to_num(np.broadcast_to(allowance, expected.shape).flat[flat])),
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


_PIECE = 1 << 15


def _ordinary(expected: Array, actual: Array, allowance: Array) -> _Found | None:
    """The same where everything is finite, and something is allowed everywhere; None where that is not so.

    Piece by piece, so that what is computed on the way stays in the processor's cache.
    """
    allowed = np.broadcast_to(allowance, expected.shape)
    arrays = (expected, actual, allowed)
    if allowance.size > 1 and all(array.flags.c_contiguous for array in arrays):
        p, q, r = (array.reshape(-1) for array in arrays)
    elif allowance.size == 1 and all(array.flags.c_contiguous for array in (expected, actual)):
        p, q, r = expected.reshape(-1), actual.reshape(-1), np.broadcast_to(allowance.reshape(-1), expected.size)
    else:
        # In the order of the record's index, whatever the order in memory.
        p, q, r = (array.ravel() for array in arrays)
    over, greatest, worst, flat = 0, 0.0, -1.0, 0
    uniform = float(r[0]) if allowance.size == 1 else None
    error = np.empty(min(_PIECE, p.size))
    for start in range(0, p.size, _PIECE):
        piece = slice(start, start + _PIECE)
        part, bound = error[: len(p[piece])], r[piece]
        np.abs(np.subtract(q[piece], p[piece], dtype=np.float64, out=part), out=part)
        # One look tells whether anything is out of the ordinary: a maximum is NaN or infinite if any element is.
        largest = float(part.max())
        if not (np.isfinite(largest) and (bound.min() if uniform is None else uniform) > 0):
            return None
        greatest = max(greatest, largest)
        # Nothing here is over, or further out than what was found before: end to end that is so nearly everywhere.
        if uniform is not None and largest / uniform <= min(worst, 1.0):
            continue
        ratios = np.divide(part, bound, out=part)
        at = int(ratios.argmax())
        ratio = float(ratios[at])
        over += int(np.count_nonzero(ratios > 1)) if ratio > 1 else 0
        if ratio > worst:
            worst, flat = ratio, start + at
    return _Found(over, greatest, worst, flat)


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
