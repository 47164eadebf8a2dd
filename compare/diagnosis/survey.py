"""One look at the whole candidate: where its graph differs, which operations are wrong by themselves, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from layerdiff.compare.align import aligned
from layerdiff.compare.diagnosis.anomalies import Anomalies, anomalies
from layerdiff.compare.diagnosis.explain_site import Search, explain
from layerdiff.compare.diagnosis.walk import Stop, walk_pairs
from layerdiff.compare.memory import Memory
from layerdiff.compare.pairs import Pair
from layerdiff.compare.trace import Array, Trace, upto

__all__ = ["Asked", "Seen", "Survey", "survey"]


@dataclass(frozen=True)
class Asked:
    """What stays the same during one diagnosis.

    Attributes:
        expected: the reference.
        x: (n, c, h, w) float32.
        seed: of the dense probe.
        until: the part of the expected network that counts.
        reached: the expected layers that the candidate got to; None for all.
        weights: the expected network's parameters, by layer and role.
        suspects: layers that the judge found at fault: these get the dense probe too.
        unfinished: id of the candidate's operation that raised: of its layer not all ran.
        tell: called with what is being done, in words.
        memory: of what `expected` gave for `x`; None to remember nothing.
    """

    expected: Trace
    x: Array = field(repr=False)
    seed: int
    until: str | None
    reached: Set[str] | None
    weights: Mapping[str, Mapping[str, Array]] = field(repr=False)
    suspects: Set[str]
    unfinished: str | None
    tell: Callable[[str], None]
    memory: Memory | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Seen:
    """One pair.

    Attributes:
        pair: which.
        ratio: of error and allowance by itself, the greater of both probes; None where it was not run.
        search: why it is wrong; None where it is not.
        failure: what it raised.
    """

    pair: Pair
    ratio: float | None
    search: Search | None = None
    failure: str = ""

    @property
    def wrong(self) -> bool:
        """Whether it exceeds its allowance."""
        return self.ratio is not None and self.ratio > 1


@dataclass(frozen=True)
class Survey:
    """What was seen of a candidate.

    Attributes:
        trace: the candidate.
        anomalies: where its graph differs.
        seen: each pair, by the last of its expected layers.
    """

    trace: Trace = field(repr=False)
    anomalies: Anomalies = field(repr=False)
    seen: Mapping[str, Seen] = field(repr=False)


def survey(trace: Trace, asked: Asked, *, dtype: str, known: Mapping[str, Seen]) -> Survey:
    """Look at the whole candidate.

    Args:
        trace: the candidate.
        asked: what stays the same.
        dtype: to compute in.
        known: what was seen before of pairs that have not changed since; not looked at again.
    """
    alignment = aligned(asked.expected, trace, asked.until)
    ops = upto(asked.expected.ops, asked.until)
    outputs = (asked.expected.returned_by, trace.returned_by)
    found = anomalies(ops, trace.ops, alignment, outputs, asked.reached)
    seen: dict[str, Seen] = {}
    precision: np.dtype[Any] = np.dtype(dtype)
    with np.errstate(all="ignore"):
        for stop in walk_pairs(
            ops,
            alignment,
            asked.x,
            seed=asked.seed,
            weights=asked.weights,
            suspects=asked.suspects,
            dtype=precision,
            memory=None if asked.memory is None else asked.memory.of(asked.expected, asked.x, asked.seed, precision),
        ):
            last = stop.pair.expected[-1].layer
            before = known.get(last)
            if before is not None and before.pair == stop.pair:
                seen[last] = before
            else:
                seen[last] = _seen(stop, asked)
    return Survey(trace, found, seen)


def _seen(stop: Stop, asked: Asked) -> Seen:
    if not stop.failure and asked.unfinished in {op.layer for op in stop.pair.actual}:
        return Seen(stop.pair, None)
    wrong_dense = stop.dense is not None and stop.dense > 1 and _counts(stop.pair)
    ratio = stop.ratio
    if ratio is not None and wrong_dense:
        ratio = max(ratio, stop.dense or 0.0)
    one = Seen(stop.pair, ratio, None, stop.failure)
    return replace(one, search=explain(stop, asked.tell)) if one.wrong and stop.site is not None else one


def _counts(pair: Pair) -> bool:
    """Whether what only the dense probe shows can be a fault: where parameters may be wrong, or its kind is."""
    return any(op.parameters for op in pair.expected) or bool(pair.problems)
