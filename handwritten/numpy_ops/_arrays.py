"""What the operations of the NumPy half ask of their arrays' dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import refusal

__all__ = ["Array", "check_dtypes", "check_shapes"]

Array = NDArray[np.floating[Any]]
"""An array of any floating dtype."""


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
