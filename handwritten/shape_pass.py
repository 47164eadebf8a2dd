"""A forward pass on shapes alone: a network's own code is run, and its layers hand on sizes instead of arrays.

No number is computed and nothing is changed: no running estimate, no random draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from layerdiff.handwritten._checks import refusal

__all__ = ["Outline", "Shape", "Step", "shape_of"]

Shape = tuple[int, ...]
"""The lengths of an array's axes."""


class Outline:
    """Stands for an array of which only the shape is known. All that can be done with it is to hand it to a layer.

    Attributes:
        shape: of the array.

    Raises:
        ValueError: something else is done with it.
    """

    # NumPy's functions give up on it, and Python then says so below.
    __array_ufunc__ = None

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse(f".{name}")

    def _operator(self, *_: object) -> NoReturn:
        self._refuse("an operator or a function of NumPy's")

    def _refuse(self, what: str) -> NoReturn:
        raise refusal(
            f"shape pass: between two layers only shapes are known, got {what} on an array of shape {self.shape}, "
            "expected it to be handed to a layer",
            help="make every operation of the network a layer, so that it can be counted and compared",
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _operator
    __matmul__ = __rmatmul__ = __pow__ = __neg__ = __getitem__ = __iter__ = __len__ = __array__ = _operator
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __float__ = _operator


@dataclass(frozen=True, eq=False)
class Step:
    """A layer without children that ran.

    Attributes:
        path: its dotted path, "" for the network itself.
        layer: the layer.
        inputs: the shapes it took.
        output: the shape it gave.
    """

    path: str
    layer: Any
    inputs: tuple[Shape, ...]
    output: Shape


def shape_of(value: object) -> Shape:
    """The shape of an outline, or of an array that took no part in the network before.

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(value, Outline | np.ndarray):
        raise refusal(
            f"shape pass: no single array, got {type(value).__name__}, expected one array into and out of each layer",
            help="return the array, not a list or a dict of arrays",
        )
    return value.shape
