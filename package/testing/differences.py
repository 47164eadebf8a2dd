"""From a report to what a test fails for: each difference with its place, its words and its codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.render.words import answers, input_words
from layerdiff.compare.result import NOT_REACHED, Report

__all__ = ["Difference", "differences"]


@dataclass(frozen=True)
class Difference:
    """One thing for which a network is not the same.

    Attributes:
        place: a layer's id; `backward LAYER` for its gradients; `training TENSOR` for what training makes of a tensor;
            or `input`, `forward pass`, `output`, `weights` or `network` for what belongs to no layer.
        words: what is different there, in a line.
        codes: of the causes that were confirmed for it.
        cause: the first of these causes, with its title; empty where there is none.
        change: what to do about it; empty where nobody knows.
        source: `file:line` in the candidate's code.
        judged: whether it is known to be different, and not only that nobody could tell.
    """

    place: str
    words: str
    codes: tuple[str, ...] = ()
    cause: str = ""
    change: str = ""
    source: str | None = None
    judged: bool = True


def differences(report: Report) -> tuple[Difference, ...]:
    """All that stands between a report and the verdict `same`, in the order of the layers; none only where it is same.

    What merely inherits and what was not reached is none: something else is the reason for it.
    """
    found = (*_before(report), *_of_layers(report), *_of_the_whole(report), *_back(report), *_training(report))
    if not found and report.verdict != "same":
        return (Difference("network", "; ".join(answers(report)), judged=report.verdict == "different"),)
    return found


def _before(report: Report) -> Iterator[Difference]:
    if report.input is not None and report.input.status == "fault":
        yield _with_causes("input", input_words(report.input), report.input.source, report.findings)
    if report.crash is not None:
        why = report.explanation
        code = (why.code,) if why is not None and why.code else ()
        title, change = (why.title, why.change) if why is not None else ("", "")
        yield Difference("forward pass", report.crash, code, title, change, why.source if why else None)


def _of_layers(report: Report) -> Iterator[Difference]:
    for layer in report.layers:
        if layer.status in {"fault", "missing", "unjudged"} and layer.reason != NOT_REACHED:
            judged = layer.status != "unjudged"
            yield _with_causes(layer.layer, layer.reason, layer.source, report.findings, judged=judged)


def _of_the_whole(report: Report) -> Iterator[Difference]:
    for extra in report.extra:
        yield Difference(extra.layer, f"the expected network has no such operation ({extra.kind})", source=extra.source)
    if report.output:
        yield Difference("output", report.output)
    elif not report.output_known:
        yield Difference("output", "what it returns could not be compared", judged=False)
    for doubt in report.doubts:
        yield Difference("weights", doubt, judged=False)
    if report.blind:
        yield Difference("network", "something happened in it that could not be seen", judged=False)


def _back(report: Report) -> Iterator[Difference]:
    for layer in report.gradients.layers if report.gradients is not None else ():
        if layer.status in {"fault", "missing", "unjudged"}:
            judged = layer.status != "unjudged"
            found = _with_causes(layer.layer, layer.reason, layer.source, report.findings, judged=judged)
            yield replace(found, place=f"backward {layer.layer}")


def _training(report: Report) -> Iterator[Difference]:
    for tensor in report.steps.tensors if report.steps is not None else ():
        if tensor.status != "same":
            found = _with_causes(tensor.name, tensor.reason, None, report.findings, judged=tensor.status != "unjudged")
            yield replace(found, place=f"training {tensor.name}")


def _with_causes(
    place: str, words: str, source: str | None, causes: Iterable[Finding], *, judged: bool = True
) -> Difference:
    known = [one for one in causes if one.confirmed and one.code != UNEXPLAINED and place in one.layers]
    if not known:
        return Difference(place, words, source=source, judged=judged)
    first = known[0]
    codes = tuple(dict.fromkeys(one.code for one in known))
    return Difference(place, words, codes, first.title, first.change, first.source or source, judged)
