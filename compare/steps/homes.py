"""Where the expected network's tensors are in the candidate: there under its names and in its layouts, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.layouts import laid_out
from layerdiff.compare.steps.mover import State
from layerdiff.compare.trace import Array
from layerdiff.compare.transfer import Carried

__all__ = ["Homes", "homes_of"]


@dataclass(frozen=True)
class Homes:
    """The way there and back.

    Attributes:
        at: by the expected tensor's name.
    """

    at: Mapping[str, Carried] = field(repr=False)

    def there(self, state: State, own: State) -> dict[str, Array]:
        """Expected tensors under the candidate's names, in its layouts.

        Args:
            state: by expected names.
            own: the candidate's, for the shapes.
        """
        found = {}
        for name, array in state.items():
            home = self.at.get(name)
            if home is not None and home.actual in own:
                shape = own[home.actual].shape
                found[home.actual] = array if home.axes is None else laid_out(array, home.axes, shape)
        return found

    def back(self, own: State, like: State) -> dict[str, Array]:
        """The candidate's tensors under the expected names, in the expected layouts.

        Args:
            own: by the candidate's names.
            like: the expected ones, for names and shapes.
        """
        found = {}
        for name, array in like.items():
            home = self.at.get(name)
            if home is not None and home.actual in own:
                theirs = own[home.actual]
                found[name] = theirs if home.axes is None else _turned_back(theirs, home.axes, array.shape)
        return found

    def buffers_there(self, remembered: State, own: State) -> dict[str, Array]:
        """What the expected optimiser remembers, `NAME.BUFFER`, for the candidate's.

        Args:
            remembered: by expected names.
            own: the candidate's parameters, for the shapes.
        """
        found: dict[str, Array] = {}
        for name, buffers in _by_buffer(remembered).items():
            found |= {f"{one}.{name}": array for one, array in self.there(buffers, own).items()}
        return found

    def buffers_back(self, own: State, like: State) -> dict[str, Array]:
        """What the candidate's optimiser remembers, as the expected one's.

        Args:
            own: by the candidate's names.
            like: the expected ones, for names and shapes.
        """
        theirs: dict[str, dict[str, Array]] = _by_buffer(own)
        found: dict[str, Array] = {}
        for name, buffers in _by_buffer(like).items():
            found |= {f"{one}.{name}": array for one, array in self.back(theirs.get(name, {}), buffers).items()}
        return found


def homes_of(carried: Sequence[Carried], state: State) -> Homes:
    """Where the tensors of `state` are: as they were carried over, or else under their own names."""
    return Homes({one.expected: one for one in carried} or {name: Carried(name, name) for name in state})


def _by_buffer(remembered: State) -> dict[str, dict[str, Array]]:
    """`NAME.BUFFER` taken apart: the arrays by name, for each buffer."""
    found: dict[str, dict[str, Array]] = {}
    for key, array in remembered.items():
        name, _, buffer = key.rpartition(".")
        found.setdefault(buffer, {})[name] = array
    return found


def _turned_back(array: Array, axes: Sequence[int], shape: tuple[int, ...]) -> Array:
    """What `laid_out` made of a tensor of `shape`, as it was; one of another size stays as it is."""
    if array.size != int(np.prod(shape)):
        return array
    turned: Array = array.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))
    return turned
