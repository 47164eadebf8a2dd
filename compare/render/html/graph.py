"""Both networks as graphs side by side: what stands for what in rows, and the ways around them as brackets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from layerdiff.compare.evidence.records import Operation
from layerdiff.compare.render.html.rows import MARKS, Row
from layerdiff.compare.render.html.stages import stages
from layerdiff.compare.result import Report

__all__ = ["Bracket", "Line", "Node", "StageGraph", "graph"]

LANES = 4
"""Brackets that stand beside each other; a way around for which there is no room is told in words."""


@dataclass(frozen=True)
class Node:
    """One operation of one network.

    Attributes:
        name: its id.
        kind: conv2d, batch_norm, ….
        status: of the layer it is or stands for; `extra` for one that stands for none.
        mark: of its status.
        link: id of its layer in the page; empty where there is none.
        joined: whether it takes what the line above gives.
        takes: inputs that neither the line above nor a bracket shows.
    """

    name: str
    kind: str
    status: str
    mark: str
    link: str
    joined: bool
    takes: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """What stands side by side: one expected layer or none, and the operations that stand for it."""

    expected: Node | None
    actual: tuple[Node, ...]


@dataclass(frozen=True)
class Bracket:
    """A way around: from one line to another one below, both from 1, in one of the lanes, 1 the innermost."""

    start: int
    stop: int
    lane: int


@dataclass(frozen=True)
class StageGraph:
    """One stage of both networks.

    Attributes:
        name: of the stage.
        lines: in order.
        expected: brackets beside the expected network.
        actual: brackets beside the candidate.
        wrong: how many of its layers are at fault or missing.
        unpaired: how many operations of the candidate in it stand for nothing.
    """

    name: str
    lines: tuple[Line, ...]
    expected: tuple[Bracket, ...]
    actual: tuple[Bracket, ...]
    wrong: int
    unpaired: int


@dataclass(frozen=True)
class _Place:
    """A line before it is drawn: the row of its expected layer, and the operations beside it."""

    row: Row | None
    operations: tuple[Operation, ...]


def graph(report: Report, rows: Sequence[Row]) -> tuple[StageGraph, ...]:
    """Both networks, stage by stage.

    Args:
        report: its `operations` are the candidate's graph; where it has none, only the names of partners are shown.
        rows: of its layers.
    """
    beside = _beside(report)
    found = []
    for stage in stages([row.layer.layer for row in rows]):
        places = []
        if stage.start == 0:
            places += [_Place(None, (one,)) for one in beside.get("", ())]
        for row in rows[stage.start : stage.stop]:
            mine = beside.get(row.layer.layer, ())
            places.append(_Place(row, tuple(one for one in mine if one.partner is not None)))
            places += [_Place(None, (one,)) for one in mine if one.partner is None]
        found.append(_stage(stage.name, places, {row.layer.layer: row for row in rows}))
    return tuple(found)


def _beside(report: Report) -> dict[str, list[Operation]]:
    """The candidate's operations by the expected layer in whose line they stand, or behind which, if for none."""
    known = {layer.layer for layer in report.layers}
    found: dict[str, list[Operation]] = {}
    before = ""
    for one in _operations(report):
        before = one.partner if one.partner in known else before
        found.setdefault(before or "", []).append(one)
    return found


def _operations(report: Report) -> tuple[Operation, ...]:
    if report.operations:
        return report.operations
    partners = [Operation(x.partner, x.kind, (), x.layer) for x in report.layers if x.partner is not None]
    return (*partners, *(Operation(x.layer, x.kind, ()) for x in report.extra))


def _stage(name: str, places: Sequence[_Place], rows: Mapping[str, Row]) -> StageGraph:
    expected = {place.row.layer.layer: i for i, place in enumerate(places) if place.row is not None}
    actual = {one.layer: i for i, place in enumerate(places) for one in place.operations}
    takes = {place.row.layer.layer: place.row.layer.inputs for place in places if place.row is not None}
    gives = {one.layer: one.inputs for place in places for one in place.operations}
    left, told_left = _brackets(expected, takes)
    right, told_right = _brackets(actual, gives)
    lines = tuple(
        Line(
            None if place.row is None else _expected(place.row, i, expected, told_left),
            tuple(_actual(one, i, actual, told_right, rows) for one in place.operations),
        )
        for i, place in enumerate(places)
    )
    return StageGraph(
        name, lines, left, right,
        sum(place.row is not None and place.row.wrong for place in places),
        sum(one.partner is None for place in places for one in place.operations),
    )  # fmt: skip


def _brackets(
    at: Mapping[str, int], inputs: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[Bracket, ...], dict[str, list[str]]]:
    """The ways around within a stage, and by operation what it takes that neither they nor the line above show."""
    free = [0] * LANES
    found: list[Bracket] = []
    told: dict[str, list[str]] = {}
    for name, line in at.items():
        for one in inputs[name]:
            start = at.get(one)
            if start is not None and start in {line - 1, line}:
                continue
            lane = next((i for i in range(LANES) if start is not None and free[i] <= start), None)
            if start is None or start > line or lane is None:
                told.setdefault(name, []).append(one)
            else:
                free[lane] = line
                found.append(Bracket(start + 1, line + 1, lane + 1))
    return tuple(found), told


def _expected(row: Row, line: int, at: Mapping[str, int], told: Mapping[str, list[str]]) -> Node:
    layer = row.layer
    joined = any(at.get(one) == line - 1 for one in layer.inputs)
    takes = tuple(_worth_telling(told.get(layer.layer, []), line))
    return Node(layer.layer, layer.kind, layer.status, row.mark, row.id, joined, takes)


def _actual(
    one: Operation, line: int, at: Mapping[str, int], told: Mapping[str, list[str]], rows: Mapping[str, Row]
) -> Node:
    row = rows.get(one.partner) if one.partner is not None else None
    status = "extra" if row is None else row.layer.status
    joined = any(at.get(name) == line - 1 for name in one.inputs)
    takes = tuple(_worth_telling(told.get(one.layer, []), line))
    mark = "+" if row is None else MARKS[row.layer.status]
    return Node(one.layer, one.kind, status, mark, "" if row is None else row.id, joined, takes)


def _worth_telling(names: Sequence[str], line: int) -> Iterator[str]:
    """At the top of a stage everybody expects that it takes what the stage before gives."""
    yield from names if line > 0 or len(names) > 1 else ()
