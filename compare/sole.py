"""Whose memory an array is: one that nobody else can reach is taken as it is, any other is copied."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["Sole", "holders", "sole"]


class Sole:
    """Memory of another library's that nobody but the array on top of it can reach: its maker has seen to that.

    Args:
        owner: keeps the memory alive.
        array: a view of the memory.
    """

    def __init__(self, owner: Any, array: Array) -> None:
        self._owner = owner
        self.__array_interface__ = array.__array_interface__


def sole(box: list[Any]) -> Array:
    """What is in `box`, as an array that nobody else holds: itself where that is known, a copy otherwise.

    It is known of what owns its memory, or all of the memory of an array that does, if nobody refers to either. Python
    counts who does, views and exported buffers among them.

    Args:
        box: one array, which whoever calls refers to by nothing else. Empty afterwards.
    """
    alone = _is_alone(box)
    array: Array = box.pop()
    return array if alone else np.array(array, order="K")


def holders(box: list[Any]) -> int:
    """How many refer to what is in `box`, one too many."""
    return sys.getrefcount(box[0])


_ONE = holders([object()])
"""Where only the box does: how many the count is too high by is the interpreter's affair."""


def _is_alone(box: list[Any]) -> bool:
    if type(box[0]) is not np.ndarray or holders(box) != _ONE or weakref.getweakrefcount(box[0]):
        return False
    # The box alone holds the array, and the array alone what it lies on: one more than the second box.
    below: list[Any] = [box[0].base]
    if below[0] is None:
        owned = box[0].flags.owndata
    elif type(below[0]) is np.ndarray:
        owned = below[0].flags.owndata and below[0].nbytes == box[0].nbytes and not weakref.getweakrefcount(below[0])
    else:
        owned = type(below[0]) is Sole
    # As a copy would be: rows one after another, and open to be written to.
    as_copied = box[0].flags.carray and box[0].strides == _strides(box[0].shape, box[0].itemsize)
    return owned and as_copied and (below[0] is None or holders(below) == _ONE + 1)


def _strides(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    found = []
    for length in reversed(shape):
        found.append(size)
        size *= length
    return tuple(reversed(found))
