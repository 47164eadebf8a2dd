"""How one planting, or two together, is judged: by layerdiff, as anyone's network would be."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from layerdiff.compare.finding import Finding
from layerdiff.compare.foreign import judge_foreign
from layerdiff.compare.result import Report
from layerdiff.compare.trace import INPUT
from layerdiff.preprocessing import judge_preparation, load_preparation, with_input

from .edits import Edit
from .hosts import correct, expected_side, host, subject_of
from .model import Planting, Truth

__all__ = ["Cause", "Outcome", "judged", "named_by", "outcome", "planted", "truths_of"]


@dataclass(frozen=True)
class Cause:
    """What a finding says, beside the truth.

    Attributes:
        code: of the finding.
        layers: it is about.
        equally: codes of what explains just the same.
        confirmed: whether undoing it was seen to help.
        accepted: whether its code, and every code that is said to explain the same, is a right answer.
        partly: whether it tells a part of a right answer.
        in_place: whether it is about planted layers only.
    """

    code: str
    layers: tuple[str, ...]
    equally: tuple[str, ...]
    confirmed: bool
    accepted: bool
    partly: bool
    in_place: bool

    @property
    def wrong(self) -> bool:
        """Whether it is confirmed all the same, and is not true."""
        return self.confirmed and not ((self.accepted or self.partly) and self.in_place)

    def __str__(self) -> str:
        same = f" ={','.join(self.equally)}" if self.equally else ""
        proven = "confirmed" if self.confirmed else "unconfirmed"
        some = ",".join(self.layers[:5]) + (f",+{len(self.layers) - 5}" if len(self.layers) > 5 else "")
        return f"{self.code}{same} {proven} [{some}]"


@dataclass(frozen=True)
class Outcome:
    """What layerdiff said of one planting, or of several in one network, beside the truth.

    Attributes:
        id: of the planting.
        verdict: same, different or unknown.
        named: the layers that were named.
        extra: kinds of operations too many.
        crash: whether the forward pass raised.
        causes: what the findings say.
        right_layer: whether exactly the right layers were named.
        right_cause: whether for each planting a confirmed finding has a right code at planted layers, and none is wrong.
        repaired: what the candidate is with all causes undone.
        seconds: it took.
        words: what was said, for the reader.
    """

    id: str
    verdict: str
    named: tuple[str, ...]
    extra: tuple[str, ...]
    crash: bool
    causes: tuple[Cause, ...]
    right_layer: bool
    right_cause: bool
    repaired: str
    seconds: float
    words: tuple[str, ...]

    @property
    def detected(self) -> bool:
        """Whether it was found to be different."""
        return self.verdict == "different"

    @property
    def wrong_cause(self) -> bool:
        """Whether a confirmed finding has a wrong code, or a right one at a wrong layer."""
        return any(cause.wrong for cause in self.causes)


def planted(*plantings: Planting) -> Any:
    """The network with these faults in it; always the same one."""
    name = plantings[0].host
    own = [one for one in plantings if one.fault.prepare is None]
    network = correct(name) if host(name).numpy or not own else Edit(name)
    for one in own:
        one.fault.plant(network, one.place)
    return network.network() if isinstance(network, Edit) else network


def truths_of(planting: Planting) -> tuple[Truth, ...]:
    """The right answers."""
    return planting.fault.truths(host(planting.host), planting.place)


def named_by(report: Report) -> frozenset[str]:
    """The layers that a report names: at fault, missing, or taking the output of an operation too many.

    An operation too many that stands in the place of a missing one is named with that one.
    """
    extra = {one.layer for one in report.extra}
    faults = {one.layer for one in report.layers if one.status == "fault"}
    missing = {one.layer for one in report.layers if one.status == "missing" and one.reason != "not reached"}
    takers = {one.layer for one in report.layers if extra & set(one.behind) and not missing & set(one.inputs)}
    wrong_input = {INPUT} if report.input is not None and report.input.status == "fault" else set()
    return frozenset(faults | missing | takers | wrong_input)


def judged(*plantings: Planting, diagnose: bool = True) -> Outcome:
    """What layerdiff says of a planting, or of several in one network; without causes unless `diagnose`."""
    network = planted(*plantings)
    first = plantings[0]
    side = expected_side(host(first.host).expected, first.fault.size, first.fault.batch)
    weights = None if any(one.fault.keep for one in plantings) else side.weights
    start = time.perf_counter()
    report = judge_foreign(side.trace, network, side.x, weights=weights, diagnose=diagnose)
    for one in plantings:
        if one.fault.prepare is not None:
            subject = subject_of(host(one.host).expected, one.fault.size, one.fault.batch)
            report = with_input(report, judge_preparation(load_preparation(one.fault.prepare), subject, []))
    return outcome(plantings, report, time.perf_counter() - start)


def outcome(plantings: Sequence[Planting], report: Report, seconds: float) -> Outcome:
    """A report beside the truth."""
    named = named_by(report)
    extra = tuple(one.kind for one in report.extra)
    whole = [_together(truths) for truths in itertools.product(*(truths_of(one) for one in plantings))]
    right = any(truth.fits(named) and (not truth.output or bool(extra or report.output)) for truth in whole)
    causes = tuple(_cause(one, plantings) for one in report.findings)
    words = [f"{one.layer} {one.status}: {one.reason}" for one in report.layers if one.layer in named][:6]
    words += [f"extra {one.kind} {one.layer}" for one in report.extra][:3]
    words += [text for text in (report.output, report.crash or "", *report.doubts[:2]) if text]
    words += [f"{cause}: {finding.title}" for cause, finding in zip(causes, report.findings, strict=True)]
    return Outcome(
        id=" + ".join(one.id for one in plantings),
        verdict=report.verdict,
        named=tuple(name for name in (INPUT, *(layer.layer for layer in report.layers)) if name in named),
        extra=extra,
        crash=report.crash is not None,
        causes=causes,
        right_layer=right,
        right_cause=all(_explained(one, causes) for one in plantings) and not any(one.wrong for one in causes),
        repaired=report.repaired,
        seconds=seconds,
        words=tuple(words),
    )


def _together(truths: Sequence[Truth]) -> Truth:
    return Truth(
        frozenset[str]().union(*(truth.must for truth in truths)),
        tuple(group for truth in truths for group in truth.one_of),
        any(truth.output for truth in truths),
        frozenset[str]().union(*(truth.beside for truth in truths)),
    )


def _explained(planting: Planting, causes: Sequence[Cause]) -> bool:
    """Whether a confirmed cause is one of this planting."""
    layers = frozenset[str]().union(*(truth.layers for truth in truths_of(planting)))
    codes = set(planting.fault.accepted)
    return any(one.confirmed and {one.code, *one.equally} <= codes and layers & set(one.layers) for one in causes)


def _cause(finding: Finding, plantings: Sequence[Planting]) -> Cause:
    equally = tuple(dict.fromkeys(text.partition(":")[0] for text in finding.equally))
    codes = {finding.code, *equally}
    at_home = [one for one in plantings if any(truth.layers >= set(finding.layers) for truth in truths_of(one))]
    asked = at_home or list(plantings)
    return Cause(
        finding.code,
        finding.layers,
        equally,
        finding.confirmed,
        any(codes <= set(one.fault.accepted) for one in asked),
        any(codes <= {*one.fault.accepted, *one.fault.also} for one in asked),
        bool(at_home),
    )
