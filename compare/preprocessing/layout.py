"""Which axis of somebody's input is which."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.trace import Array
from layerdiff.errors import InputError

__all__ = ["as_nchw"]


def as_nchw(x: Array, expected: tuple[int, ...], place: str = "input") -> tuple[Array, tuple[str, ...]]:
    """An input as (n, 3, h, w) float32, and notes of what that took.

    Values are never scaled: whole numbers become floats, float64 is rounded.

    Args:
        x: (3, h, w), (n, 3, h, w), (h, w, 3) or (n, h, w, 3), of any real dtype.
        expected: the shape that it should have, which decides where a shape can be read in two ways.
        place: where it comes from, for errors.

    Raises:
        InputError: another shape, no numbers, or values that are not finite.
    """
    if x.dtype.kind not in "fiu":
        raise InputError(f"{place}: no real numbers, got dtype {x.dtype}, expected float32")
    notes = []
    if x.ndim == 3:
        x = x[None]
        notes.append("a batch axis was added")
    if x.ndim != 4 or 3 not in {x.shape[1], x.shape[3]} or not x.size:
        raise InputError(
            f"{place}: not a picture's shape, got {x.shape}, expected {expected}",
            notes=["(3, h, w), (n, 3, h, w), (h, w, 3) and (n, h, w, 3) can be read"],
        )
    if x.shape[1] != 3 or (x.shape[1:] != expected[1:] and x.shape[3] == 3 and x.shape[1:3] == expected[2:]):
        x = x.transpose(0, 3, 1, 2)
        notes.append("its channels are the last axis; they were put in front")
    if x.dtype != np.float32:
        notes.append(f"it is {x.dtype}; compared as float32")
    with np.errstate(all="ignore"):
        found = np.ascontiguousarray(x, dtype=np.float32)
    bad = int(found.size - np.isfinite(found).sum())
    if bad:
        raise InputError(f"{place}: values that are not finite, got {bad:,} of {found.size:,}, expected none")
    return found, tuple(notes)
