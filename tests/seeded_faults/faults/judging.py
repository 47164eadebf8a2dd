"""How one planting is judged: by layerdiff, as anyone's network would be."""

from __future__ import annotations

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
from .model import Fault, Planting, Truth

__all__ = ["Cause", "Outcome", "diagnosed", "judged", "named_by", "outcome", "planted", "truths_of"]


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

    def __str__(self) -> str:
        same = f" ={','.join(self.equally)}" if self.equally else ""
        proven = "confirmed" if self.confirmed else "unconfirmed"
        some = ",".join(self.layers[:5]) + (f",+{len(self.layers) - 5}" if len(self.layers) > 5 else "")
        return f"{self.code}{same} {proven} [{some}]"


@dataclass(frozen=True)
class Outcome:
    """What layerdiff said of one planting, beside the truth.

    Attributes:
        id: of the planting.
        verdict: same, different or unknown.
        named: the layers that were named.
        extra: kinds of operations too many.
        crash: whether the forward pass raised.
        causes: what the findings say.
        right_layer: whether exactly the right layers were named.
        right_cause: whether a confirmed finding has a right code at a planted layer, and none has a wrong one.
        wrong_cause: whether a confirmed finding has a wrong code, or a right one at a wrong layer.
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
    wrong_cause: bool
    repaired: str
    seconds: float
    words: tuple[str, ...]

    @property
    def detected(self) -> bool:
        """Whether it was found to be different."""
        return self.verdict == "different"


def planted(planting: Planting) -> Any:
    """The network with the fault in it; always the same one."""
    fault = planting.fault
    if host(planting.host).numpy:
        network = correct(planting.host)
        fault.plant(network, planting.place)
        return network
    if fault.prepare is not None:
        return correct(planting.host)
    edit = Edit(planting.host)
    fault.plant(edit, planting.place)
    return edit.network()


def truths_of(planting: Planting) -> tuple[Truth, ...]:
    """The right answers."""
    return planting.fault.truths(host(planting.host), planting.place)


def diagnosed(
    network: Any, name: str, size: tuple[int, int], batch: int, *, keep: bool, diagnose: bool = True
) -> Report:
    """Layerdiff's report on a network against the expected one of a host."""
    side = expected_side(host(name).expected, size, batch)
    return judge_foreign(side.trace, network, side.x, weights=None if keep else side.weights, diagnose=diagnose)


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


def judged(planting: Planting, *, diagnose: bool = True) -> Outcome:
    """What layerdiff says of a planting; without causes unless `diagnose`."""
    network = planted(planting)
    fault = planting.fault
    start = time.perf_counter()
    report = diagnosed(network, planting.host, fault.size, fault.batch, keep=fault.keep, diagnose=diagnose)
    if fault.prepare is not None:
        subject = subject_of(host(planting.host).expected, fault.size, fault.batch)
        report = with_input(report, judge_preparation(load_preparation(fault.prepare), subject, []))
    seconds = time.perf_counter() - start
    return outcome(planting, report, seconds)


def outcome(planting: Planting, report: Report, seconds: float) -> Outcome:
    """A report beside the truth."""
    truths = truths_of(planting)
    named = named_by(report)
    extra = tuple(one.kind for one in report.extra)
    right = any(truth.fits(named) and (not truth.output or bool(extra or report.output)) for truth in truths)
    causes = tuple(_cause(one, truths, planting.fault) for one in report.findings)
    confirmed = [one for one in causes if one.confirmed]
    wrong = any(not ((one.accepted or one.partly) and one.in_place) for one in confirmed)
    words = [f"{one.layer} {one.status}: {one.reason}" for one in report.layers if one.layer in named][:6]
    words += [f"extra {one.kind} {one.layer}" for one in report.extra][:3]
    words += [text for text in (report.output, report.crash or "", *report.doubts[:2]) if text]
    words += [f"{cause}: {finding.title}" for cause, finding in zip(causes, report.findings, strict=True)]
    return Outcome(
        planting.id,
        report.verdict,
        tuple(name for name in (INPUT, *(layer.layer for layer in report.layers)) if name in named),
        extra,
        report.crash is not None,
        causes,
        right,
        any(one.accepted for one in confirmed) and not wrong,
        wrong,
        report.repaired,
        seconds,
        tuple(words),
    )


def _cause(finding: Finding, truths: Sequence[Truth], fault: Fault) -> Cause:
    equally = tuple(dict.fromkeys(text.partition(":")[0] for text in finding.equally))
    layers = set(finding.layers)
    return Cause(
        finding.code,
        finding.layers,
        equally,
        finding.confirmed,
        {finding.code, *equally} <= set(fault.accepted),
        {finding.code, *equally} <= {*fault.accepted, *fault.also},
        any(layers <= truth.layers for truth in truths),
    )
