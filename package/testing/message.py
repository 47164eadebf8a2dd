"""What a failing test says: a first line that stands alone, because a summary shows no other, and five more at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from layerdiff.compare.harmless import harmless, printable
from layerdiff.compare.render.words import number
from layerdiff.compare.result import Measure, Report
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
    yield _neighbours(report, first.place)
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
    found = _worst(_measures(report, one.place))
    if found is None:
        return ""
    of, measure = found
    # Where no cause is known the first line says it already.
    count = f"{measure.over:,} of {measure.size:,} values differ; " if one.cause else ""
    got, wanted = (_value(value) for value in (measure.actual, measure.expected))
    allowed = f"allowed {number(measure.allowed)} ({measure.dtype})"
    return f"{of}{count}at {list(measure.index)} got {got}, expected {wanted}, {allowed}"


def _measures(report: Report, place: str) -> list[tuple[str, Measure]]:
    """The comparisons made at a place, each with what it is one of."""
    part, _, name = place.rpartition(" ")
    if part == "backward":
        back = report.gradients.layers if report.gradients is not None else ()
        return [
            (f"the gradient of {gradient.of}: ", gradient.measure)
            for layer in back
            if layer.layer == name and not layer.problems
            for gradient in layer.gradients
        ]
    if part == "training":
        moved = report.steps.tensors if report.steps is not None else ()
        tensors = [tensor for tensor in moved if tensor.name == name and not tensor.problems]
        return [(f"after step {i}: ", m) for tensor in tensors for i, m in enumerate(tensor.measures, start=1)]
    layers = [layer for layer in report.layers if layer.layer == place and not layer.problems]
    return [("", measure) for layer in layers for measure in layer.measures]


def _worst(measures: list[tuple[str, Measure]]) -> tuple[str, Measure] | None:
    order = {"activations": 0, "dense": 1, "propagated": 2}
    beyond = [one for one in measures if one[1].over or one[1].nonfinite_actual > one[1].nonfinite_expected]
    return min(beyond, key=lambda one: (order.get(one[1].probe, 3), one[1].dtype), default=None)


def _neighbours(report: Report, place: str) -> str:
    part = place.rpartition(" ")[0]
    kin, rows = "layers", [layer.status for layer in report.layers]
    if part == "backward" and report.gradients is not None:
        kin, rows = "layers, going back,", [layer.status for layer in report.gradients.layers]
    if part == "training" and report.steps is not None:
        kin, rows = "tensors, in training,", [tensor.status for tensor in report.steps.tensors]
    counts = Counter(rows)
    wrong = counts["fault"] + counts["missing"]
    inherit = [] if part == "training" else [f"{counts['inherited']} only inherit"]
    pieces = [f"{wrong} at fault", *inherit, f"{counts['same']} are same"]
    if counts["unjudged"]:
        pieces.append(f"{counts['unjudged']} could not be judged")
    return f"note: of {len(rows)} {kin} {', '.join(pieces)}"


def _value(value: float | None) -> str:
    return "a non-finite value" if value is None else f"{value:.6g}"
