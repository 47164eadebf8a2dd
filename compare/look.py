"""A second look: which layers are to be looked at once more after the judgement, and who is shown their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from layerdiff.compare.pairs import Pair
from layerdiff.compare.result import Measure
from layerdiff.compare.trace import Array

__all__ = ["Look", "Watch"]

Watch = Callable[[tuple[str, ...], Measure, Array, Array, "Array | float | None"], None]
"""Takes the ids of the expected layers, what was measured, the expected and the actual array, and what was allowed.

That is None where both are the same to the bit.
"""


@dataclass(frozen=True)
class Look:
    """What is wanted of a lane that runs again.

    Attributes:
        layers: ids of the expected layers whose measures are wanted.
        end_to_end: whether their measures end to end are wanted too. Where they are, both networks run whole, since
            what rounding explains there hangs on all layers before; where not, only the expected one does.
        watch: called with every comparison of these layers.
    """

    layers: frozenset[str]
    end_to_end: bool
    watch: Watch = field(repr=False)

    def wants(self, pair: Pair) -> bool:
        """Whether one of the pair's layers is wanted."""
        return not self.layers.isdisjoint(op.layer for op in pair.expected)

    def show(self, pair: Pair, found: Measure, expected: Array, actual: Array, allowed: Array | float | None) -> None:
        """Show a comparison, if it is wanted."""
        if self.wants(pair):
            self.watch(tuple(op.layer for op in pair.expected), found, expected, actual, allowed)
