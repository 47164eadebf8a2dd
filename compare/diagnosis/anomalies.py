"""Where two graphs differ: expected operations that are missing, operations too many, inputs from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace

from layerdiff.compare.graph import Graph
from layerdiff.compare.pairs import Alignment, Pair
from layerdiff.compare.trace import Op

__all__ = ["Anomalies", "Difference", "anomalies"]


@dataclass(frozen=True)
class Anomalies:
    """All in which the graphs of two networks differ, and both graphs.

    Attributes:
        missing: expected operations without a partner, in order.
        extra: the candidate's operations without a partner, in order.
        rewired: pairs whose inputs come from elsewhere.
        here: the expected network.
        there: the candidate.
        alignment: of both.
    """

    missing: tuple[Op, ...]
    extra: tuple[Op, ...]
    rewired: tuple[Pair, ...]
    here: Graph = field(repr=False)
    there: Graph = field(repr=False)
    alignment: Alignment = field(repr=False)

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.rewired)

    def pair_of(self, layer: str) -> Pair | None:
        """The pair that the expected operation `layer` is in, if it has a partner."""
        return next((p for p in self.alignment.pairs if p.actual and layer in {op.layer for op in p.expected}), None)

    def pairs_behind(self, extra: Iterable[Op]) -> tuple[Pair, ...]:
        """Pairs that take their input through one of these operations of the candidate."""
        ids = {op.layer for op in extra}
        return tuple(pair for pair in self.alignment.pairs if ids & set(pair.behind))

    def takers(self, missing: Iterable[Op]) -> tuple[Pair, ...]:
        """Pairs whose expected operations take what one of these missing ones gives."""
        ids = {op.layer for op in missing}
        return tuple(
            pair for pair in self.alignment.pairs if pair.actual and any(ids & set(op.inputs) for op in pair.expected)
        )

    def without(self, difference: Difference) -> Anomalies:
        """What is left once a difference has been named."""
        missing, extra = ({op.layer for op in ops} for ops in (difference.missing, difference.extra))
        named = {pair.expected[-1].layer for pair in difference.pairs}
        return replace(
            self,
            missing=tuple(op for op in self.missing if op.layer not in missing),
            extra=tuple(op for op in self.extra if op.layer not in extra),
            rewired=tuple(pair for pair in self.rewired if pair.expected[-1].layer not in named),
        )


@dataclass(frozen=True)
class Difference:
    """Some of the anomalies, recognised as one thing that people do.

    Attributes:
        code: of the cause.
        title: in a line.
        change: what to do about it.
        missing: expected operations that have to come.
        extra: the candidate's operations that have to go.
        pairs: pairs whose inputs have to come from where they should.
        layers: ids of the expected layers it is about; by default those missing and those of `pairs`.
        evidence: the facts it was read from.
    """

    code: str
    title: str
    change: str
    missing: tuple[Op, ...] = ()
    extra: tuple[Op, ...] = ()
    pairs: tuple[Pair, ...] = ()
    layers: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def about(self) -> tuple[str, ...]:
        """The expected layers it is about."""
        if self.layers:
            return self.layers
        if self.missing:
            return tuple(op.layer for op in self.missing)
        return tuple(op.layer for pair in self.pairs for op in pair.expected)

    @property
    def source(self) -> str | None:
        """Where in the candidate's code it is, as near as can be said."""
        ops = (*self.extra, *(op for pair in self.pairs for op in pair.actual[:1]))
        return next((op.source for op in ops if op.source), None)


def anomalies(
    expected: Sequence[Op],
    actual: Sequence[Op],
    alignment: Alignment,
    outputs: tuple[str | None, str | None],
    reached: Set[str] | None,
) -> Anomalies:
    """In what the graphs of two networks differ.

    Args:
        expected: the reference's operations.
        actual: the candidate's.
        alignment: of both.
        outputs: ids of the operations whose output each returns.
        reached: where the candidate raised, the expected layers it got to; those beyond are not missing.
    """
    here, there = Graph(expected, outputs[0]), Graph(actual, outputs[1])
    missing = [op for pair in alignment.pairs if not pair.actual for op in pair.expected]
    rewired = [
        pair for pair in alignment.pairs if any(problem.startswith(("wiring:", "inputs:")) for problem in pair.problems)
    ]
    return Anomalies(
        missing=tuple(op for op in missing if reached is None or op.layer in reached),
        extra=alignment.extra,
        rewired=tuple(rewired),
        here=here,
        there=there,
        alignment=alignment,
    )
