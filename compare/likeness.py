"""Which of several known networks a candidate is meant to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from layerdiff.compare.trace import Op

__all__ = ["closest", "forms"]


def forms(ops: Iterable[Op]) -> Counter[tuple[int, ...]]:
    """The shapes of the weights an operation multiplies with, each as often as it is used, whichever way they lie."""
    return Counter(
        tuple(sorted(op.parameters["weight"].shape))
        for op in ops
        if "weight" in op.parameters and op.parameters["weight"].ndim >= 2
    )


def closest(ops: Sequence[Op], known: Mapping[str, Counter[tuple[int, ...]]]) -> tuple[str, float]:
    """The known network whose weights are most like those that `ops` use, and how much: 1 for all of them.

    Args:
        ops: of the candidate.
        known: the weights' forms of each network, by name; not empty.
    """
    found = forms(ops)

    def likeness(name: str) -> float:
        both, either = found & known[name], found | known[name]
        return both.total() / max(1, either.total())

    best = max(known, key=likeness)
    return best, likeness(best)
