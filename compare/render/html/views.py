"""What the page's template is given of a run: records as they are, and beside them rows, charts and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layerdiff.compare.evidence.records import Map, Tried
from layerdiff.compare.finding import Finding
from layerdiff.compare.render.html.charts import depth_charts, histogram_chart, ribbon
from layerdiff.compare.render.html.fragments import own
from layerdiff.compare.render.html.graph import StageGraph, graph
from layerdiff.compare.render.html.rows import Fold, Row, folds, rows
from layerdiff.compare.render.html.stages import stages
from layerdiff.compare.render.words import answers
from layerdiff.compare.result import Report, Run

__all__ = ["VERDICTS", "Evident", "ReportView", "Size", "view", "views"]

VERDICTS = {"same": "Same", "different": "Different", "unknown": "Could not tell"}

_WITH_ALL_MAPS = 16
"""Layers at fault whose channels can all be looked at; of those after them the worst, so that the page stays small."""
_OPEN = 10
"""Layers at fault that stand open."""


@dataclass(frozen=True)
class Evident:
    """What a layer at fault looks like, beside its records.

    Attributes:
        maps: its channels, worst first.
        left_out: how many more of them the run has.
        histogram: the chart, as SVG; empty where there is none.
        tried: the hypotheses that were to explain this layer.
        open: whether it is shown at once.
    """

    maps: tuple[Map, ...]
    left_out: int
    histogram: str
    tried: tuple[Tried, ...]
    open: bool


@dataclass(frozen=True)
class Size:
    """How large a stage is.

    Attributes:
        name: of the stage.
        rows: of its layers.
        parameters: numbers learnt in it.
        multiply_adds: of its convolutions and linear layers.
    """

    name: str
    rows: tuple[Row, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class ReportView:
    """One candidate.

    Attributes:
        report: its record.
        place: in the run, from 0.
        verdict: as a heading.
        said: the answer without the verdict's name, a line for each way.
        causes: the findings, those confirmed first.
        rows: one for each layer.
        wrong: those that come first.
        folds: all of them in order.
        evident: for each row of `wrong`, by its id.
        ribbon: all layers as one bar, as SVG.
        depth: the error by depth, as SVG for a wide page and for a narrow one.
        stages: both graphs.
        sizes: of its stages; empty where the run does not say.
    """

    report: Report
    place: int
    verdict: str
    said: tuple[str, ...]
    causes: tuple[Finding, ...]
    rows: tuple[Row, ...]
    wrong: tuple[Row, ...]
    folds: tuple[Fold, ...]
    evident: dict[str, Evident]
    ribbon: str
    depth: tuple[str, str]
    stages: tuple[StageGraph, ...]
    sizes: tuple[Size, ...]

    def own(self, part: str) -> str:
        """The id of a part of this candidate's section."""
        return own(self.place, part)

    @property
    def ids(self) -> dict[str, str]:
        """Of each layer, its id in the page."""
        return {row.layer.layer: row.id for row in self.rows}

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions in which something was compared."""
        return tuple(dtype for dtype, _ in self.rows[0].alone) if self.rows else ()

    @property
    def first_wrong(self) -> str:
        """The first stage of the graph in which something is wrong; empty for none."""
        return next((stage.name for stage in self.stages if stage.wrong or stage.unpaired), "")

    @property
    def longest(self) -> int:
        """How many lines the longest stage of the graph has."""
        return max((len(stage.lines) for stage in self.stages), default=0)


def views(run: Run) -> tuple[ReportView, ...]:
    """A view of each of the run's reports."""
    return tuple(view(report, place) for place, report in enumerate(run.reports))


def view(report: Report, place: int) -> ReportView:
    """The view of the report that stands at `place` in its run."""
    found = rows(report, place)
    wrong = tuple(row for row in found if row.wrong)
    shown = _shown(wrong, report)
    links = [row.id for row in found]
    return ReportView(
        report=report,
        place=place,
        verdict=VERDICTS[report.verdict],
        said=tuple(_without_verdict(line, report.verdict) for line in answers(report)),
        causes=_causes(report),
        rows=found,
        wrong=wrong,
        folds=folds(found),
        evident={row.id: _evident(row, i, report, open_=row.id in shown) for i, row in enumerate(wrong)},
        ribbon=ribbon(report.layers),
        depth=depth_charts(report, links),
        stages=graph(report, found),
        sizes=_sizes(found),
    )


def _causes(report: Report) -> tuple[Finding, ...]:
    if report.verdict != "different":
        return ()
    said, one = set(), report.explanation
    while one is not None:
        said.add(one.code)
        one = one.cause
    return tuple(sorted((one for one in report.findings if one.code not in said), key=lambda one: not one.confirmed))


def _without_verdict(line: str, verdict: str) -> str:
    """A single answer stands below its verdict, which it need not repeat."""
    said = {"same": "same: ", "different": "different: ", "unknown": "could not tell: "}[verdict]
    return line.removeprefix(said)


def _shown(wrong: Sequence[Row], report: Report) -> set[str]:
    """The layers that stand open: of those with one confirmed cause the first."""
    told: set[str] = set()
    found = []
    for row in wrong:
        if row.layer.layer not in told:
            found.append(row.id)
        told.update(
            layer for one in report.findings if one.confirmed and row.layer.layer in one.layers for layer in one.layers
        )
    return set(found[:_OPEN])


def _evident(row: Row, place: int, report: Report, *, open_: bool) -> Evident:
    evidence = row.layer.evidence
    maps = evidence.maps if evidence is not None else ()
    shown = maps if place < _WITH_ALL_MAPS else maps[:1]
    return Evident(
        maps=shown,
        left_out=len(maps) - len(shown),
        histogram=histogram_chart(evidence.histogram) if evidence is not None else "",
        tried=tuple(one for one in report.tried if row.layer.layer in one.layers),
        open=open_,
    )


def _sizes(found: Sequence[Row]) -> tuple[Size, ...]:
    if not any(row.layer.parameter_count or row.layer.multiply_adds for row in found):
        return ()
    return tuple(
        Size(
            stage.name,
            tuple(part),
            sum(row.layer.parameter_count for row in part),
            sum(row.layer.multiply_adds for row in part),
        )
        for stage in stages([row.layer.layer for row in found])
        for part in [found[stage.start : stage.stop]]
    )
