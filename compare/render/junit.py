"""The report as JUnit XML: a suite for each candidate, a case for each layer, and one for the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as Xml

from layerdiff.compare.harmless import harmless, no_commands
from layerdiff.compare.render.terminal import details
from layerdiff.compare.render.words import answers, input_words
from layerdiff.compare.result import GradientLayer, LayerResult, Report, Run, Status, Verdict

__all__ = ["render_junit"]

_Outcome = Literal["failure", "error", "skipped"]

_OUTCOMES: dict[Status, _Outcome | None] = {
    "same": None,
    "fault": "failure",
    "missing": "failure",
    "inherited": "skipped",
    "unjudged": "error",
}
_OF_VERDICT: dict[Verdict, _Outcome | None] = {"same": None, "different": "failure", "unknown": "error"}


@dataclass(frozen=True)
class _Case:
    group: str
    name: str
    outcome: _Outcome | None
    message: str = ""
    text: str = ""


def render_junit(run: Run) -> str:
    """JUnit XML as Jenkins's junit-10.xsd describes it.

    A layer at fault is a failure, one that could not be judged an error, and one that only inherits is skipped: by
    itself it is right. The case `verdict` has the answer, so that nothing is green where it is not `same`, whatever
    made it so.
    """
    run = harmless(run)
    suites = [_suite(report, run) for report in run.reports]
    if not suites:
        suites = [_element("layerdiff", [_Case("layerdiff", "verdict", "error", "no network was judged")])]
    totals = {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in ("tests", "failures", "errors")}
    top = Xml.Element("testsuites", {"name": "layerdiff", **totals})
    top.extend(suites)
    Xml.indent(top, " ")
    content = no_commands(Xml.tostring(top, encoding="unicode"), colon="&#58;", sharp="&#35;")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + content


def _suite(report: Report, run: Run) -> Xml.Element:
    suite = _element(report.actual, list(_cases(report)))
    properties = Xml.Element("properties")
    for name, value in {"expected": report.expected, **run.environment}.items():
        Xml.SubElement(properties, "property", {"name": name, "value": value})
    suite.insert(0, properties)
    return suite


def _cases(report: Report) -> Iterator[_Case]:
    if report.input is not None:
        outcome: _Outcome | None = "failure" if report.input.status == "fault" else None
        yield _Case("input", report.input.source, outcome, input_words(report.input))
    yield from (_layer(layer, report) for layer in report.layers)
    for extra in report.extra:
        words = f"the candidate's own, the expected network has none ({extra.kind})"
        yield _Case("extra", extra.layer, "failure", words, extra.source or "")
    if report.gradients is not None:
        yield from (_gradient(layer) for layer in report.gradients.layers)
    for tensor in report.steps.tensors if report.steps is not None else ():
        yield _Case("training", tensor.name, _OUTCOMES[tensor.status], tensor.reason)
    said = "; ".join(answers(report))
    more = [report.output, report.crash or "", *report.doubts, *report.notes]
    yield _Case("network", "verdict", _OF_VERDICT[report.verdict], said, "\n".join(line for line in more if line))


def _layer(layer: LayerResult, report: Report) -> _Case:
    outcome = _OUTCOMES[layer.status]
    if outcome in {None, "skipped"}:
        return _Case("forward", layer.layer, outcome, layer.reason)
    causes = [one for one in report.findings if layer.layer in one.layers]
    lines = [*details(layer), *(f"{one.code} {one.title} [{_state(one.confirmed)}]" for one in causes)]
    return _Case("forward", layer.layer, outcome, layer.reason, "\n".join(lines))


def _gradient(layer: GradientLayer) -> _Case:
    return _Case("backward", layer.layer, _OUTCOMES[layer.status], layer.reason, layer.source or "")


def _state(confirmed: bool) -> str:
    return "confirmed" if confirmed else "not confirmed"


def _element(name: str, cases: Iterable[_Case]) -> Xml.Element:
    cases = list(cases)
    suite = Xml.Element("testsuite", {"name": name, "tests": str(len(cases))})
    for attribute, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.outcome == outcome for case in cases)))
    for case in cases:
        element = Xml.SubElement(suite, "testcase", {"classname": f"layerdiff.{case.group}", "name": case.name})
        if case.outcome == "skipped":
            Xml.SubElement(element, "skipped", {"message": case.message})
        elif case.outcome is not None:
            found = Xml.SubElement(element, case.outcome, {"message": case.message, "type": case.outcome})
            found.text = case.text
    return suite
