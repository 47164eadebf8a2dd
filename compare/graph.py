"""The data flow of one network: who takes what from whom, and an order that does not depend on how it was written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from heapq import heappop, heappush

from layerdiff.compare.trace import Op

__all__ = ["Graph"]


class Graph:
    """Operations with their data flow, looked at from both ends.

    Args:
        ops: in an order in which they can run.
        output: id of the operation whose output the network returns; None if that is not known.
    """

    def __init__(self, ops: Sequence[Op], output: str | None = None) -> None:
        self.ops = {op.layer: op for op in ops}
        self.consumers: dict[str, list[str]] = defaultdict(list)
        for op in ops:
            for layer in dict.fromkeys(op.inputs):
                self.consumers[layer].append(op.layer)
        self._index = {op.layer: i for i, op in enumerate(ops)}
        self.output = output if output in self.ops else None

    def unused(self) -> frozenset[str]:
        """Operations whose results never reach what the network returns; none where that is not known."""
        if self.output is None:
            return frozenset()
        needed, waiting = {self.output}, [self.output]
        while waiting:
            for layer in self.ops[waiting.pop()].inputs:
                if layer in self.ops and layer not in needed:
                    needed.add(layer)
                    waiting.append(layer)
        return frozenset(self.ops.keys() - needed)

    def sources(self, layers: Iterable[str], *, through: Set[str]) -> list[frozenset[str]]:
        """For each of `layers` where its value comes from, looking through those in `through` to what they take."""
        return [self._behind(layer, through) for layer in layers]

    def _behind(self, layer: str, through: Set[str]) -> frozenset[str]:
        if layer not in through or layer not in self.ops:
            return frozenset({layer})
        return frozenset().union(*(self._behind(inner, through) for inner in self.ops[layer].inputs))

    def passed(self, layers: Iterable[str], *, through: Set[str]) -> tuple[str, ...]:
        """Those in `through` that `sources` looks through, each once."""
        found: dict[str, None] = {}
        waiting = list(layers)
        while waiting:
            layer = waiting.pop()
            if layer in through and layer in self.ops and layer not in found:
                found[layer] = None
                waiting.extend(self.ops[layer].inputs)
        return tuple(found)

    def ordered(self, without: Set[str] = frozenset()) -> list[Op]:
        """The operations along the data flow, at each fork the longer way first.

        A block that computes its shortcut before its branch and one that computes it after give one order.

        Args:
            without: operations to leave out.
        """
        kept = [op for op in self.ops.values() if op.layer not in without]
        height = self._heights(kept)
        waits = {op.layer: len({layer for layer in op.inputs if layer in height}) for op in kept}
        ready: list[tuple[int, int, str]] = []
        for op in kept:
            if waits[op.layer] == 0:
                heappush(ready, self._rank(op.layer, height))
        order: list[Op] = []
        last: str | None = None
        while ready:
            layer = self._next(ready, last)
            order.append(self.ops[layer])
            last = layer
            for consumer in self.consumers[layer]:
                if consumer in waits:
                    waits[consumer] -= 1
                    if waits[consumer] == 0:
                        heappush(ready, self._rank(consumer, height))
        return order

    def _next(self, ready: list[tuple[int, int, str]], last: str | None) -> str:
        # Stay on the way one is on, as long as it goes on.
        following = [entry for entry in ready if last is not None and last in self.ops[entry[2]].inputs]
        if not following:
            return heappop(ready)[2]
        chosen = min(following)
        ready.remove(chosen)
        ready.sort()
        return chosen[2]

    def _rank(self, layer: str, height: dict[str, int]) -> tuple[int, int, str]:
        return (-height[layer], self._index[layer], layer)

    def _heights(self, kept: Sequence[Op]) -> dict[str, int]:
        height = {op.layer: 0 for op in kept}
        for op in reversed(kept):
            above = [height[layer] for layer in self.consumers[op.layer] if layer in height]
            height[op.layer] = 1 + max(above, default=0)
        return height
