"""An input that was kept in 16 bits on its way."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.finding import Finding
from layerdiff.compare.preprocessing.allowance import input_allowance
from layerdiff.compare.preprocessing.record import Record
from layerdiff.compare.trace import INPUT, Array

__all__ = ["narrowed"]


def narrowed(expected: Array, actual: Array, record: Record) -> Finding | None:
    """The finding that `actual` is `expected`, rounded to bfloat16 or float16; None where it is not.

    Every value must lie on the coarse grid, and no further from the expected one than half a step of it.

    Args:
        expected: (n, 3, h, w) float32.
        actual: likewise, of the same shape.
        record: how the expected one was made.
    """
    for name, bits, on_grid in (
        ("bfloat16", 8, (np.ascontiguousarray(actual).view(np.uint32) & 0xFFFF) == 0),
        ("float16", 11, actual == actual.clip(-6e4, 6e4).astype(np.float16)),
    ):
        # Half a step is at most 2^-bits of the value; a step of float16 is never below 2^-24.
        allowed = input_allowance(expected, record) + np.maximum(np.abs(actual) * 2.0**-bits, 2.0**-25)
        apart = np.abs(actual.astype(np.float64) - expected)
        if on_grid.all() and (apart <= allowed).all():
            return Finding(
                "H2",
                f"the input was rounded to {name}",
                (INPUT,),
                "keep the input in float32",
                confirmed=True,
                how=f"the expected input rounded to {name}",
                after=float((apart / allowed).max()),
            )
    return None
