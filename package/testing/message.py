"""What a failing test says: a first line that stands alone, because a summary shows no other, and five more at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from layerdiff.compare.harmless import harmless, printable
from layerdiff.compare.render.words import number
from layerdiff.compare.result import LayerResult, Measure, Report
from layerdiff.testing.differences import Difference

__all__ = ["failure"]

_NAMED = 5


def failure(report: Report, found: Sequence[Difference], link: str = "", problem: str = "") -> str:
    """The message for what is different.

    Args:
        report: settled.
        found: what of it the test fails for; at least one.
        link: where the whole report is; empty for nowhere.
        problem: why it could not be written, where it should have been.
    """
    report, found = harmless(report), harmless(tuple(found))
    lines = [line for line in _lines(report, found, link) if line]
    return "\n".join([*lines, f"note: its report was not written: {printable(problem)}"] if problem else lines)


def _lines(report: Report, found: Sequence[Difference], link: str) -> Iterator[str]:
    # What was judged different comes before what nobody could judge.
    ordered = sorted(found, key=lambda one: not one.judged)
    first = ordered[0]
    yield _headline(first)
    yield _figures(report, first)
    yield _neighbours(report)
    others = list(dict.fromkeys(one.place for one in ordered[1:]))
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    yield f"note: also {', '.join(others[:_NAMED])}{more}" if others else ""
    where = f" ({first.source})" if first.source else ""
    yield f"help: {first.change}{where}" if first.change else f"note: its code is at {first.source}" if where else ""
    yield f"help: the whole report is {link}" if link else ""


def _headline(one: Difference) -> str:
    verdict = "different" if one.judged else "could not tell"
    if one.cause and one.codes:
        return f"{one.place}: {verdict}: {one.cause} [{one.codes[0]}]"
    return f"{one.place}: {verdict}: {one.words}"


def _figures(report: Report, one: Difference) -> str:
    layer = next((layer for layer in report.layers if layer.layer == one.place), None)
    measure = _worst(layer) if layer is not None and not layer.problems else None
    if measure is None:
        return ""
    # Where no cause is known the first line says it already.
    count = f"{measure.over:,} of {measure.size:,} values differ; " if one.cause else ""
    got, wanted = (_value(value) for value in (measure.actual, measure.expected))
    allowed = f"allowed {number(measure.allowed)} ({measure.dtype})"
    return f"{count}at {list(measure.index)} got {got}, expected {wanted}, {allowed}"


def _worst(layer: LayerResult) -> Measure | None:
    order = {"activations": 0, "dense": 1, "propagated": 2}
    beyond = [one for one in layer.measures if one.over or one.nonfinite_actual > one.nonfinite_expected]
    return min(beyond, key=lambda one: (order[one.probe], one.dtype), default=None)


def _neighbours(report: Report) -> str:
    counts = Counter(layer.status for layer in report.layers)
    wrong = counts["fault"] + counts["missing"]
    pieces = [f"{wrong} at fault", f"{counts['inherited']} only inherit", f"{counts['same']} are same"]
    if counts["unjudged"]:
        pieces.append(f"{counts['unjudged']} could not be judged")
    return f"note: of {len(report.layers)} layers {', '.join(pieces)}"


def _value(value: float | None) -> str:
    return "a non-finite value" if value is None else f"{value:.6g}"
