"""Ways to put a picture's numbers in another place, and how each is undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from layerdiff.compare.preprocessing.prediction import Fault
from layerdiff.compare.trace import Array

__all__ = ["AS_IT_IS", "MOVES", "Move"]


@dataclass(frozen=True)
class Move:
    """A move.

    Attributes:
        fault: what was done; None where nothing was.
        undo: takes (n, 3, h, w) and gives it as it was before.
        turned: the same move, done to a picture (h, w, 3); None where a picture cannot be moved so.
    """

    fault: Fault | None
    undo: Callable[[Array], Array] = field(repr=False)
    turned: Callable[[Array], Array] | None = field(default=None, repr=False)


def _move(title: str, change: str, undo: Callable[[Array], Array], turned: Callable[[Array], Array] | None) -> Move:
    return Move(Fault("I5", title, change), undo, turned)


def _reshaped(title: str, change: str, undo: Callable[[Array], Array]) -> Move:
    return Move(Fault("F3", title, change), undo)


AS_IT_IS = Move(None, lambda x: x)

_EXIF = "leave the picture as it is stored: no flip, no EXIF orientation"
_AXES = "permute from (h, w, 3) with (2, 0, 1)"

MOVES = (
    _move("the picture is flipped left to right", _EXIF, lambda x: x[..., ::-1], lambda p: p[:, ::-1]),
    _move("the picture is upside down", _EXIF, lambda x: x[..., ::-1, :], lambda p: p[::-1]),
    _move("the picture is turned by 180 degrees", _EXIF, lambda x: x[..., ::-1, ::-1], lambda p: p[::-1, ::-1]),
    _move("height and width are swapped", _AXES, lambda x: x.swapaxes(2, 3), lambda p: p.swapaxes(0, 1)),
    _move(
        "the picture is turned by 90 degrees to the right",
        _EXIF,
        lambda x: x.swapaxes(2, 3)[..., ::-1, :],
        lambda p: p[::-1].swapaxes(0, 1),
    ),
    _move(
        "the picture is turned by 90 degrees to the left",
        _EXIF,
        lambda x: x.swapaxes(2, 3)[..., ::-1],
        lambda p: p[:, ::-1].swapaxes(0, 1),
    ),
    _reshaped(
        "(h, w, 3) is reshaped to (3, h, w) where its axes should be permuted",
        f"{_AXES}; reshape and view only cut the row of numbers elsewhere",
        lambda x: x.reshape(x.shape[0], *x.shape[2:], 3).transpose(0, 3, 1, 2),
    ),
    _reshaped(
        "(3, h, w) is reshaped to (h, w, 3) where its axes should be permuted",
        "permute (3, h, w) with (1, 2, 0); reshape and view only cut the row of numbers elsewhere",
        lambda x: x.transpose(0, 2, 3, 1).reshape(x.shape),
    ),
)
"""All that are known; the picture as it is comes first of all, and is none of them."""
