"""What alignment finds: which operations of the candidate stand for which of the expected network, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from layerdiff.compare.trace import Op

__all__ = ["Alignment", "Confidence", "Pair", "outside_inputs"]

Confidence = Literal["certain", "likely", "weak"]


@dataclass(frozen=True)
class Pair:
    """Operations of both networks that are judged as one: what they take must give what they give.

    Nearly always one operation of each. More where one network writes in two steps what the other writes in one
    (a padding of its own before a convolution, `mean` for pooling and flatten), or both in another order.

    Attributes:
        expected: in order, never empty; the last one's output is compared.
        actual: in order; the last one's output is compared; empty where the candidate has nothing for them.
        feeds: for each of the candidate's `outside_inputs`, the id of the expected operation (or `input`) whose value
            it is given when it is judged by itself.
        problems: what is wrong with how the candidate's operations are wired.
        reason: why these were paired, in a few words.
        confidence: `certain` (the same id, or the same parameters), `likely` (kind, shapes and place agree), `weak`.
        float32_only: why the candidate's operations can be right in float32 alone; empty where float64 judges
            them too.
        behind: ids of the candidate's operations without a partner through which its inputs come.
    """

    expected: tuple[Op, ...]
    actual: tuple[Op, ...]
    feeds: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    reason: str = ""
    confidence: Confidence = "likely"
    float32_only: str = ""
    behind: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alignment:
    """Every expected operation once, in the order of the last of each pair, and the candidate's that are left over."""

    pairs: tuple[Pair, ...]
    extra: tuple[Op, ...]


def outside_inputs(ops: Iterable[Op]) -> tuple[str, ...]:
    """The ids of what `ops` take from outside themselves, each once, in the order of first use.

    A lone operation that takes one value twice still has it once.
    """
    made: set[str] = set()
    found: dict[str, None] = {}
    for op in ops:
        found.update(dict.fromkeys(layer for layer in op.inputs if layer not in made))
        made.add(op.layer)
    return tuple(found)
