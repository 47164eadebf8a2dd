"""The evidence of a report: what the layers at fault look like, gathered in a second look after the judgement."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from layerdiff.compare.evidence.both_sides import attributes_of, parameters_of
from layerdiff.compare.evidence.code import lines_around
from layerdiff.compare.evidence.evidence import evidence_of
from layerdiff.compare.evidence.records import Evidence
from layerdiff.compare.look import Watch
from layerdiff.compare.memory import Memory
from layerdiff.compare.result import LayerResult, Measure, Report
from layerdiff.compare.second_look import Sides, look_again
from layerdiff.compare.trace import Array, Trace
from layerdiff.compare.verdict import condemning
from layerdiff.errors import InputError

__all__ = ["KEEP", "Keep", "check_keep", "gathered", "with_evidence"]

Keep = Literal["failed", "all", "none"]
KEEP: tuple[Keep, ...] = get_args(Keep)

_MOST = 10
"""Layers at fault of which evidence is kept: enough to understand a network, and few enough for a page to hold."""


def with_evidence(
    report: Report,
    expected: Trace,
    actual: Trace,
    x: Array,
    *,
    seed: int,
    keep: Keep = "failed",
    memory: Memory | None = None,
) -> Report:
    """The report with what its layers at fault look like; as it was where none is.

    Args:
        report: of `judge`, settled.
        expected: the reference, captured on `x`.
        actual: the candidate, likewise.
        x: (n, c, h, w) float32.
        seed: as the judge had it.
        keep: of which layers: `failed` (the first ten at fault), `all` or `none`.
        memory: of what `expected` gave for `x`, as the judge had it.
    """

    def again(wanted: Mapping[str, Measure], watch: Watch) -> Sides:
        return look_again(
            expected, actual, x, wanted, watch, seed=seed, until=report.until, dtypes=report.dtypes, memory=memory
        )

    return gathered(report, again, keep=keep)


def gathered(report: Report, again: Callable[[Mapping[str, Measure], Watch], Sides], *, keep: Keep) -> Report:
    """The report with the evidence of those layers that are to have it.

    Args:
        report: settled.
        again: shows the comparisons of layers once more, and says which operations stand for each other; of none where
            one side is a recorded trace: what such a file says of itself is no evidence.
        keep: as `with_evidence` has it.
    """
    due = [layer for layer in report.layers if keep == "all" or (keep == "failed" and layer.status == "fault")]
    chosen = due if keep == "all" else due[:_MOST]
    if not chosen:
        return report
    shown = {layer.layer: _shown(layer, report.scale) for layer in chosen}
    seen = _Seen({layer: measure for layer, measure in shown.items() if measure is not None})
    sides = again(seen.wanted, seen.watch)
    layers = tuple(
        _with(layer, sides, seen.evidence.get(layer.layer)) if layer.layer in shown else layer
        for layer in report.layers
    )
    return replace(report, layers=layers, evidence_left_out=len(due) - len(chosen))


def check_keep(keep: str) -> None:
    """Refuse what says of no layers that their evidence is kept.

    Raises:
        InputError: it does not.
    """
    if keep not in KEEP:
        raise InputError(f"keep_evidence: of no use, got {keep!r}, expected {', '.join(KEEP[:-1])} or {KEEP[-1]}")


@dataclass
class _Seen:
    """What was shown so far.

    Attributes:
        wanted: by layer id the measure of which the arrays are wanted.
        evidence: of these layers.
        exact: ids of those that were shown with just the figures that the judge had.
    """

    wanted: Mapping[str, Measure]
    evidence: dict[str, Evidence] = field(default_factory=dict)
    exact: set[str] = field(default_factory=set)

    def watch(
        self, layers: Sequence[str], found: Measure, expected: Array, actual: Array, allowed: Array | float | None
    ) -> None:
        """Take what is shown, where it is what is wanted."""
        evidence = None
        for layer in layers:
            want = self.wanted.get(layer)
            if want is None or layer in self.exact or (found.probe, found.dtype) != (want.probe, want.dtype):
                continue
            # A layer may be looked at more than once: on the expected input, and at the size that it was made for.
            if evidence is None:
                evidence = evidence_of(found.probe, expected, actual, 0.0 if allowed is None else allowed)
            self.evidence[layer] = evidence
            if found == want:
                self.exact.add(layer)


def _shown(layer: LayerResult, scale: float) -> Measure | None:
    """The measure that says most of a layer: the one that condemned it, else the one nearest to its allowance."""
    found = condemning(layer, scale) if layer.status == "fault" else None
    if found is not None or layer.status == "fault":
        return found
    return max(layer.measures, key=lambda m: math.inf if m.ratio is None else m.ratio, default=None)


def _with(layer: LayerResult, sides: Sides, evidence: Evidence | None) -> LayerResult:
    if layer.layer not in sides:
        return replace(layer, evidence=evidence)
    expected, actual = sides[layer.layer]
    return replace(
        layer,
        evidence=evidence,
        parameters=parameters_of(expected, actual),
        attributes=attributes_of(expected, actual),
        code=lines_around(layer.source),
    )
