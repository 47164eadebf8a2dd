"""How one planting is judged: by layerdiff, as anyone's network would be."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from layerdiff.compare.foreign import judge_foreign
from layerdiff.compare.result import Report

from .edits import Edit
from .hosts import correct, expected_side, host
from .model import Planting, Truth

__all__ = ["Outcome", "diagnosed", "judged", "named_by", "planted", "truths_of"]

_DIAGNOSES = "diagnose" in inspect.signature(judge_foreign).parameters


@dataclass(frozen=True)
class Outcome:
    """What layerdiff said of one planting, beside the truth.

    Attributes:
        id: of the planting.
        verdict: same, different or unknown.
        named: the layers that were named.
        extra: kinds of operations too many.
        crash: whether the forward pass raised.
        confirmed: the codes of the confirmed findings.
        unconfirmed: the codes of the others.
        right_layer: whether exactly the right layers were named.
        right_cause: whether a confirmed finding has a right code, and none has a wrong one.
        wrong_cause: whether a confirmed finding has a wrong code.
        seconds: it took.
        words: what was said, for the reader.
    """

    id: str
    verdict: str
    named: tuple[str, ...]
    extra: tuple[str, ...]
    crash: bool
    confirmed: tuple[str, ...]
    unconfirmed: tuple[str, ...]
    right_layer: bool
    right_cause: bool
    wrong_cause: bool
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
    more = {"diagnose": diagnose} if _DIAGNOSES else {}
    return judge_foreign(side.trace, network, side.x, weights=None if keep else side.weights, **more)


def named_by(report: Report) -> frozenset[str]:
    """The layers that a report names: at fault, missing, or taking the output of an operation too many.

    An operation too many that stands in the place of a missing one is named with that one.
    """
    extra = {one.layer for one in report.extra}
    faults = {one.layer for one in report.layers if one.status == "fault"}
    missing = {one.layer for one in report.layers if one.status == "missing" and one.reason != "not reached"}
    takers = {one.layer for one in report.layers if extra & set(one.behind) and not missing & set(one.inputs)}
    return frozenset(faults | missing | takers)


def judged(planting: Planting, *, diagnose: bool = True) -> Outcome:
    """What layerdiff says of a planting; without causes unless `diagnose`."""
    network = planted(planting)
    fault = planting.fault
    start = time.perf_counter()
    report = diagnosed(network, planting.host, fault.size, fault.batch, keep=fault.keep, diagnose=diagnose)
    seconds = time.perf_counter() - start
    return outcome(planting.id, report, truths_of(planting), fault.accepted, seconds)


def outcome(id_: str, report: Report, truths: Sequence[Truth], accepted: Sequence[str], seconds: float) -> Outcome:
    """A report beside the truth."""
    named = named_by(report)
    extra = tuple(one.kind for one in report.extra)
    right = any(truth.fits(named) and (not truth.output or bool(extra or report.output)) for truth in truths)
    confirmed = tuple(finding.code for finding in report.findings if finding.confirmed)
    wrong = any(code not in accepted for code in confirmed)
    words = [f"{one.layer} {one.status}: {one.reason}" for one in report.layers if one.layer in named][:6]
    words += [f"extra {one.kind} {one.layer}" for one in report.extra][:3]
    words += [text for text in (report.output, report.crash or "", *report.doubts[:2]) if text]
    words += [
        f"{f.code}{' confirmed' if f.confirmed else ''}: {f.title} ({', '.join(f.layers[:3])})" for f in report.findings
    ]
    return Outcome(
        id_,
        report.verdict,
        tuple(layer.layer for layer in report.layers if layer.layer in named),
        extra,
        report.crash is not None,
        confirmed,
        tuple(finding.code for finding in report.findings if not finding.confirmed),
        right,
        bool(confirmed) and not wrong,
        wrong,
        seconds,
        tuple(words),
    )
