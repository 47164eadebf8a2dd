"""Where each output of a candidate lies among those of the same windows at every single place.

A convolution and a pooling do the same everywhere, so that with stride 1 and wide borders they give every value that
any stride and padding could give. Where the candidate's values lie among these tells its stride and padding in one go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from layerdiff.compare.hypotheses.solving import tolerance
from layerdiff.compare.trace import Array

__all__ = ["Place", "find_place"]

_LOOKS = 12


@dataclass(frozen=True)
class Place:
    """Output (i, j) is the value at `origin` + i · `down` + j · `across`; rows and columns, as numbers of places."""

    origin: tuple[int, int]
    down: tuple[int, int]
    across: tuple[int, int]

    @property
    def stride(self) -> tuple[int, int] | None:
        """The stride, where rows go down and columns go right."""
        upright = self.down[1] == self.across[0] == 0
        return (self.down[0], self.across[1]) if upright and self.down[0] > 0 and self.across[1] > 0 else None

    def at(self, i: int, j: int) -> tuple[int, int]:
        """The place of output (i, j)."""
        return tuple(o + i * d + j * a for o, d, a in zip(self.origin, self.down, self.across, strict=True))  # type: ignore[return-value]


def find_place(full: Array, got: Array, stride: tuple[int, int]) -> Place | None:
    """Where `got` lies in `full`; None where it does not, in no regular way.

    Args:
        full: (n, p, h, w), the values at every place.
        got: (n, p, h_out, w_out).
        stride: the one taken where `got` has one row or one column only.
    """
    if full.shape[:2] != got.shape[:2] or not got.size or not np.isfinite(got).all():
        return None
    finder = _Finder(full, got)
    for i, j in _starts(got):
        found = finder.place(i, j)
        if found is None:
            continue
        down, across = finder.step(i, j, found, (1, 0)), finder.step(i, j, found, (0, 1))
        down = (stride[0], 0) if down is None and got.shape[2] == 1 else down
        across = (0, stride[1]) if across is None and got.shape[3] == 1 else across
        if down is None or across is None:
            continue
        origin = tuple(f - i * d - j * a for f, d, a in zip(found, down, across, strict=True))
        place = Place((origin[0], origin[1]), down, across)
        if finder.holds(place):
            return place
    return None


def _starts(got: Array) -> Iterator[tuple[int, int]]:
    """Outputs to begin with, from the middle outwards."""
    h, w = got.shape[2:]
    middle = [(h // 2, w // 2), (h // 3, w // 2), (h // 2, w // 3), ((h - 1) // 2, (w - 1) // 2)]
    yield from dict.fromkeys([*middle, (0, 0), (h - 1, w - 1)])


class _Finder:
    def __init__(self, full: Array, got: Array) -> None:
        self._full = np.ascontiguousarray(full.reshape(-1, *full.shape[2:]))
        self._got = got.reshape(-1, *got.shape[2:])
        self._room = tolerance(got) * np.sqrt(len(self._got))

    def place(self, i: int, j: int) -> tuple[int, int] | None:
        """The nearest place of one output; None where it is not near enough, or nothing but zeros."""
        value = self._got[:, i, j]
        if not value.any():
            return None
        squares = np.square(self._full - value[:, None, None]).sum(axis=0)
        y, x = np.unravel_index(int(np.argmin(squares)), squares.shape)
        return (int(y), int(x)) if np.sqrt(squares[y, x]) <= self._room else None

    def step(self, i: int, j: int, found: tuple[int, int], by: tuple[int, int]) -> tuple[int, int] | None:
        """How far the place moves from one output to the next one, or from the one before."""
        for sign in (1, -1):
            y, x = i + sign * by[0], j + sign * by[1]
            if 0 <= y < self._got.shape[1] and 0 <= x < self._got.shape[2]:
                other = self.place(y, x)
                if other is not None:
                    return sign * (other[0] - found[0]), sign * (other[1] - found[1])
        return None

    def holds(self, place: Place) -> bool:
        """Whether most of a number of outputs lie where the place says."""
        h, w = self._got.shape[1:]
        rows, columns = (
            np.linspace(0, h - 1, min(h, _LOOKS)).astype(int),
            np.linspace(0, w - 1, min(w, _LOOKS)).astype(int),
        )
        right = seen = 0
        for i in rows:
            for j in columns:
                y, x = place.at(int(i), int(j))
                seen += 1
                inside = 0 <= y < self._full.shape[1] and 0 <= x < self._full.shape[2]
                right += inside and bool(np.linalg.norm(self._full[:, y, x] - self._got[:, i, j]) <= self._room)
        return right * 4 >= seen
