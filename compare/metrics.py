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
        allowance: the largest error that rounding explains; broadcasts to that shape.

    Raises:
        ValueError: nothing to compare, or shapes or dtypes that differ: the caller must have looked before.
    """
    if expected.shape != actual.shape or expected.dtype != actual.dtype or expected.size == 0:
        raise ValueError(
            f"measure: got {actual.dtype}{actual.shape}, expected {expected.dtype}{expected.shape}, not empty"
        )
    error = np.subtract(actual, expected, dtype=np.float64)
    np.abs(error, out=error)
    usable = np.isfinite(error)
    # Never by subtraction alone: the difference of two infinities, or of two NaNs, must not pass for anything.
    whole = bool(usable.all())
    bad = (0, 0) if whole else tuple(int(array.size - np.isfinite(array).sum()) for array in (expected, actual))
    if not whole:
        error[~usable] = 0.0
    allowed = np.broadcast_to(np.asarray(allowance, dtype=np.float64), error.shape)
    over = error > allowed
    count = int(over.sum())
    forbidden = over & (allowed == 0)
    if forbidden.any():
        ratio, flat = None, int(np.argmax(np.where(forbidden, error, 0.0)))
    else:
        ratios = np.divide(error, allowed, out=np.zeros_like(error), where=allowed > 0)
        flat = int(np.argmax(ratios))
        ratio = float(ratios.flat[flat])
    return Measure(
        probe=probe,
        dtype=expected.dtype.name,
        size=expected.size,
        over=count,
        max_abs=float(error.max()),
        ratio=ratio,
        index=tuple(int(i) for i in np.unravel_index(flat, error.shape)),
        expected=_finite(expected.flat[flat]),
        actual=_finite(actual.flat[flat]),
        allowed=float(allowed.flat[flat]),
        nonfinite_expected=bad[0],
        nonfinite_actual=bad[1],
    )


def _finite(value: object) -> float | None:
    number = float(value)  # type: ignore[arg-type]
    return number if np.isfinite(number) else None
