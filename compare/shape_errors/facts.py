"""The facts an explanation is read from: both networks' operations, who stands for whom, and where it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from layerdiff.compare.crash import Crash
from layerdiff.compare.pairs import Alignment, Pair
from layerdiff.compare.structure import Structure
from layerdiff.compare.trace import INPUT, Op

__all__ = ["Facts", "Shape", "by", "lies_otherwise", "times"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Facts:
    """Both networks, paired; the questions that patterns ask of them.

    Attributes:
        expected: the expected network.
        actual: the candidate, up to where it came.
        alignment: of the two; the operation that raised may be part of it.
        crash: what raised; None where nothing did.
    """

    expected: Structure
    actual: Structure
    alignment: Alignment
    crash: Crash | None = None

    @cached_property
    def _theirs(self) -> dict[str, Op]:
        return {op.layer: op for op in self.actual.ops}

    @cached_property
    def _ours(self) -> dict[str, Op]:
        return {op.layer: op for op in self.expected.ops}

    @cached_property
    def _pair_of(self) -> dict[str, Pair]:
        return {op.layer: pair for pair in self.alignment.pairs for op in pair.actual}

    @cached_property
    def _pair_of_expected(self) -> dict[str, Pair]:
        return {op.layer: pair for pair in self.alignment.pairs for op in pair.expected}

    def actual_op(self, layer: str) -> Op | None:
        """The candidate's operation of that id; None for its input, and for the one that raised."""
        return self._theirs.get(layer)

    def expected_op(self, layer: str) -> Op | None:
        """The expected network's operation of that id; None for its input."""
        return self._ours.get(layer)

    def actual_shape(self, layer: str) -> Shape:
        """Of what the candidate's operation of that id gives, or of its input."""
        return self.actual.shape if layer == INPUT else self._theirs[layer].shape

    def expected_shape(self, layer: str) -> Shape:
        """Of what the expected network's operation of that id gives, or of its input."""
        return self.expected.shape if layer == INPUT else self._ours[layer].shape

    def stands_for(self, layer: str) -> Op | None:
        """The expected operation for which the candidate's operation of that id stands, by itself or as the last."""
        pair = self._pair_of.get(layer)
        if pair is None:
            return None
        return next((op for op in pair.expected if op.kind == self._kind(layer)), pair.expected[-1])

    def is_missing(self, layer: str) -> bool:
        """Whether the candidate has nothing in the place of the expected operation of that id."""
        pair = self._pair_of_expected.get(layer)
        return pair is not None and not pair.actual

    @property
    def partner(self) -> Op | None:
        """The expected operation for which the one that raised stands."""
        return self.stands_for(self.crash.layer) if self.crash is not None else None

    def back(self, layer: str) -> Iterator[Op]:
        """The candidate's operation of that id, and those before it along each one's first input."""
        op = self.actual_op(layer)
        while op is not None:
            yield op
            op = self.actual_op(op.inputs[0]) if op.inputs else None

    def back_expected(self, layer: str) -> Iterator[Op]:
        """The same in the expected network."""
        op = self.expected_op(layer)
        while op is not None:
            yield op
            op = self.expected_op(op.inputs[0]) if op.inputs else None

    def ancestors(self, layers: tuple[str, ...]) -> set[str]:
        """Ids of the candidate's operations on which the values of `layers` depend, those included."""
        found: set[str] = set()
        waiting = [layer for layer in layers if layer in self._theirs]
        while waiting:
            layer = waiting.pop()
            if layer not in found:
                found.add(layer)
                waiting.extend(inner for inner in self._theirs[layer].inputs if inner in self._theirs)
        return found

    def _kind(self, layer: str) -> str:
        if self.crash is not None and self.crash.layer == layer:
            return self.crash.kind
        return self._theirs[layer].kind


def lies_otherwise(shape: Shape, other: Shape) -> bool:
    """Whether two shapes that are not equal differ in axes of size 1 only, behind the batch's: a 1×1 map, flattened."""
    if shape == other or not shape or not other or shape[0] != other[0]:
        return False
    return [size for size in shape[1:] if size != 1] == [size for size in other[1:] if size != 1]


def times(numbers: Shape) -> str:
    """`2048·2·2`."""
    return "·".join(str(number) for number in numbers)


def by(sizes: Shape) -> str:
    """`2×2`."""
    return "×".join(str(size) for size in sizes)
