"""Which of several known networks a candidate is meant to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from layerdiff.compare.trace import Op

__all__ = ["Form", "closest", "forms"]

Form = tuple[int, ...]


def forms(ops: Iterable[Op]) -> Counter[Form]:
    """The shapes of the weights an operation multiplies with, each as often as it is used, whichever way they lie."""
    return Counter(
        tuple(sorted(op.parameters["weight"].shape))
        for op in ops
        if "weight" in op.parameters and op.parameters["weight"].ndim >= 2
    )


def closest(found: Counter[Form], known: Mapping[str, Counter[Form]]) -> tuple[str, float]:
    """The known network whose weights' forms are most like `found`, and how much: 1 for all of them.

    Args:
        found: the forms of a candidate's weights.
        known: those of each network, by name; not empty.
    """

    def likeness(name: str) -> float:
        both, either = found & known[name], found | known[name]
        return both.total() / max(1, either.total())

    best = max(known, key=likeness)
    return best, likeness(best)
