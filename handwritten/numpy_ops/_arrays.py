"""What the operations of the NumPy half ask of their arrays' dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import refusal

__all__ = ["Array", "Mask", "channels_last", "check_dtypes", "check_shapes", "masked"]

Array = NDArray[np.floating[Any]]
"""An array of any floating dtype."""

Mask = NDArray[np.bool_]

_AS_INTEGERS = {2: np.int16, 4: np.int32, 8: np.int64}


def masked(values: Array, keep: Mask) -> Array:
    """`np.where(keep, values, 0)`, ten times as fast: `values` and `keep` have one shape.

    True is 1 and -1 is an integer of ones alone, so "and" takes all bits of a value or none. `np.where` has the
    processor guess at every value which it will be, which takes longer than the work itself; a product would make NaN
    of 0 times infinity.
    """
    as_integers = _AS_INTEGERS.get(values.itemsize)
    if as_integers is None:  # long double: no integer is as wide
        return np.where(keep, values, np.zeros((), dtype=values.dtype))
    found: Array = np.asarray(np.bitwise_and(values.view(as_integers), -keep.view(np.int8))).view(values.dtype)
    return found


def channels_last(x: Array) -> Array:
    """`x`, (n, c, h, w), in such an order of memory that the channels of a pixel are neighbours; copied if need be.

    Source: torch.channels_last.
    """
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def check_dtypes(where: str, x: Array, **others: Array | None) -> None:
    """Refuses integers, and arrays of another dtype than `x`: NumPy would quietly compute in a wider one.

    Raises:
        ValueError: there are such; the error names all of them.
    """
    if not np.issubdtype(x.dtype, np.floating):
        raise refusal(
            f"{where}: not a floating dtype, got {x.dtype}, expected float32 or float64",
            help="convert it first, with the scale that the weights' recipe asks for",
        )
    wrong = {name: array.dtype for name, array in others.items() if array is not None and array.dtype != x.dtype}
    if wrong:
        raise refusal(
            f"{where}: mixed dtypes, got {', '.join(f'{name} {dtype}' for name, dtype in wrong.items())}, "
            f"expected {x.dtype} as x",
            help="convert x with x.astype(...), or the network with network.astype(...)",
        )


def check_shapes(where: str, shape: tuple[int, ...], **arrays: Array | None) -> None:
    """Refuses parameters of another shape than `shape`: NumPy would broadcast some of them.

    Raises:
        ValueError: there are such; the error names all of them.
    """
    wrong = {name: array.shape for name, array in arrays.items() if array is not None and array.shape != shape}
    if wrong:
        raise refusal(
            f"{where}: wrong shape, got {', '.join(f'{name} {found}' for name, found in wrong.items())}, "
            f"expected {shape}",
            help="one value for each channel or feature of the output",
        )
