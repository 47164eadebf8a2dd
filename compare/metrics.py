"""The comparison of two arrays, as data; what follows from it is decided elsewhere."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.result import Measure, Probe
from layerdiff.compare.trace import Array

__all__ = ["measure"]


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
    finite_expected, finite_actual = np.isfinite(expected), np.isfinite(actual)
    both, one = finite_expected & finite_actual, finite_expected != finite_actual
    with np.errstate(all="ignore"):
        error = np.abs(np.subtract(actual, expected, dtype=np.float64))
    # A difference that overflows is as large as a number can be; one of numbers that are not finite is none.
    error[both & ~np.isfinite(error)] = np.finfo(np.float64).max
    error[~both] = 0.0
    allowed = np.broadcast_to(np.asarray(allowance, dtype=np.float64), error.shape)
    # Not `error > allowed`: an allowance that is NaN allows nothing.
    over = (both & ~(error <= allowed)) | one
    forbidden = over & (one | ~(allowed > 0))
    if forbidden.any():
        ratio, flat = None, int(np.argmax(np.where(forbidden, error + one, -1.0)))
    else:
        ratios = np.divide(error, allowed, out=np.zeros_like(error), where=allowed > 0)
        flat = int(np.argmax(ratios))
        ratio = float(ratios.flat[flat])
    return Measure(
        probe=probe,
        dtype=expected.dtype.name,
        size=expected.size,
        over=int(over.sum()),
        max_abs=float(error.max()),
        ratio=ratio,
        index=tuple(int(i) for i in np.unravel_index(flat, error.shape)),
        expected=_finite(expected.flat[flat]),
        actual=_finite(actual.flat[flat]),
        allowed=float(np.nan_to_num(allowed.flat[flat])),
        nonfinite_expected=int(expected.size - finite_expected.sum()),
        nonfinite_actual=int(actual.size - finite_actual.sum()),
    )


def _finite(value: object) -> float | None:
    number = float(value)  # type: ignore[arg-type]
    return number if np.isfinite(number) else None
