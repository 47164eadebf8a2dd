"""The shape ledger's table: what differs row by row, what agrees stage by stage, never a number cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from layerdiff.compare.costs import Cost
from layerdiff.compare.ledger import Ledger, Row, RowStatus
from layerdiff.compare.render.words import fold

__all__ = ["actual_shape", "layers_of", "shape_words", "table"]

_MARKS: dict[RowStatus, str] = {
    "same": " ",
    "alone": " ",
    "differs": "✗",
    "follows": "↓",
    "missing": "-",
    "extra": "+",
    "crashed": "!",
    "unreached": " ",
}
_SHOWN = 40

_Cells = dict[str, str]


def table(ledger: Ledger, width: int, *, every_layer: bool) -> list[str]:
    """The lines of the table; columns give way where the terminal is narrow, shapes never."""
    alone = ledger.actual is None
    body = list(_alone(ledger) if alone else _pairs(ledger, every_layer=every_layer))
    first = "shape" if alone else "expected shape"
    head = {"mark": "", "layer": "layer", "partner": "in the candidate", "kind": "kind",
            first: first.removesuffix(" shape"), "actual shape": "actual", "parameters": "parameters",
            "macs": "multiply-adds"}  # fmt: skip
    columns = [name for name in head if any(cells.get(name) for cells in body) or name == "layer"]
    rows = [head, *body]
    for name in ("kind", "partner", "macs", "parameters"):
        # What gives way first when the terminal is narrow; a shape never does.
        if _width(rows, columns) > width and name in columns:
            columns.remove(name)
    room = max(12, _column(rows, "layer") - max(0, _width(rows, columns) - width))
    rows = [{**cells, "layer": fold(cells["layer"], room)} for cells in rows]
    widths = {name: _column(rows, name) for name in columns}
    right = {"parameters", "macs"}
    return [
        " ".join(
            cells.get(name, "").rjust(widths[name]) if name in right else cells.get(name, "").ljust(widths[name])
            for name in columns
        ).rstrip()
        for cells in rows
    ]


def _column(rows: Sequence[_Cells], name: str) -> int:
    return max(len(cells.get(name, "")) for cells in rows)


def _width(rows: Sequence[_Cells], columns: Sequence[str]) -> int:
    return sum(_column(rows, name) + 1 for name in columns) - 1


def _alone(ledger: Ledger) -> Iterator[_Cells]:
    for row in ledger.rows:
        side = row.expected
        if side is not None:
            yield {
                "layer": side.layers[-1],
                "kind": side.kinds[-1],
                "shape": shape_words(side.shape),
                **_costs(side.cost),
            }


def _pairs(ledger: Ledger, *, every_layer: bool) -> Iterator[_Cells]:
    if every_layer:
        yield from (_cells(row) for row in ledger.rows)
        return
    shown = 0
    for (folded, part), group in groupby(ledger.rows, key=_fold_key):
        rows = list(group)
        if folded is None:
            kept = rows[: max(0, _SHOWN - shown)]
            shown += len(kept)
            yield from (_cells(row) for row in kept)
            if len(kept) < len(rows):
                yield {"mark": "⋮", "layer": f"{len(rows) - len(kept)} more; see --all"}
        elif folded == "unreached":
            yield {"mark": "⋮", "layer": f"{len(rows)} not reached"}
        elif len(rows) == 1:
            yield _cells(rows[0])
        else:
            word = "agree" if folded == "same" else "follow"
            yield {
                **_cells(rows[-1]),
                "mark": "⋮",
                "layer": f"{part or _span(rows)}: {layers_of(rows)} {word}",
                "kind": "",
                "partner": "",
                **_costs(sum((row.actual.cost for row in rows if row.actual is not None), Cost())),
            }


def _fold_key(row: Row) -> tuple[str | None, str]:
    """Rows that agree, or follow, are folded by stage; those not reached all together; others not at all."""
    if row.status == "unreached":
        return "unreached", ""
    if row.status not in {"same", "follows"} or row.expected is None:
        return None, ""
    stage, dot, _ = row.expected.layers[-1].partition(".")
    return row.status, stage if dot else ""


def _span(rows: Sequence[Row]) -> str:
    """The first and the last of rows that belong to no stage: `conv1…maxpool`."""
    ends = [row.expected.layers[-1] for row in (rows[0], rows[-1]) if row.expected is not None]
    return "…".join(ends)


def _cells(row: Row) -> _Cells:
    expected, actual = row.expected, row.actual
    own = actual if actual is not None else expected
    kinds = list(dict.fromkeys(side.kinds[-1] for side in (expected, actual) if side is not None))
    cells = {
        "mark": _MARKS[row.status],
        "layer": "+".join(expected.layers) if expected is not None else own.layers[-1] if own is not None else "",
        "kind": "/".join(kinds),
        "expected shape": shape_words(expected.shape) if expected is not None else "-",
        "actual shape": actual_shape(row),
        **_costs(own.cost if own is not None else Cost()),
    }
    if actual is not None and expected is not None and actual.layers[-1] != expected.layers[-1]:
        cells["partner"] = actual.layers[-1]
    return cells


def actual_shape(row: Row) -> str:
    """What the candidate gives in a row, in words where it gives nothing."""
    if row.status == "crashed":
        return "raised"
    if row.status == "unreached":
        return "not reached"
    return shape_words(row.actual.shape) if row.actual is not None else "missing"


def _costs(cost: Cost) -> _Cells:
    return {"parameters": f"{cost.parameters:,}" if cost.parameters else "",
            "macs": f"{cost.macs:,}" if cost.macs else ""}  # fmt: skip


def shape_words(shape: Sequence[int] | None) -> str:
    """A shape as it stands in the table: `1,64,56,56`."""
    return ",".join(str(size) for size in shape) if shape is not None else "-"


def layers_of(rows: Sequence[Row]) -> int:
    """How many layers rows stand for: those of the expected network, or one that is too many."""
    return sum(len(row.expected.layers) if row.expected is not None else 1 for row in rows)
