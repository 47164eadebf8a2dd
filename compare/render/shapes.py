"""The shape ledger for a terminal: what differs row by row, what agrees stage by stage, the answer last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import get_args

from layerdiff.compare.ledger import Ledger, Row, RowStatus, Side
from layerdiff.compare.render.explained import explained, wrapped
from layerdiff.compare.render.shapes_table import actual_shape, layers_of, shape_words, table

__all__ = ["render_shapes"]

_PLAIN = str.maketrans({"✗": "x", "↓": "v", "·": "*", "×": "x", "⋮": ":", "…": "...", "→": "->", "≠": "!=",
                        "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")"})  # fmt: skip
_DETAILED = 5


def render_shapes(ledger: Ledger, *, width: int = 80, ascii_only: bool = False, every_layer: bool = False) -> str:
    """The ledger as text.

    Args:
        ledger: of two networks, or of one.
        width: columns to fill at most; where the narrowest table needs more, lines grow longer instead of being cut.
        ascii_only: no signs beyond ASCII.
        every_layer: a row for every layer, not only for those that do not agree.
    """
    lines = [line for remark in ledger.remarks for line in wrapped("note: ", remark, width)]
    lines += [*wrapped("expected  " if ledger.actual else "network   ", ledger.expected, width)]
    if ledger.actual is not None:
        lines += wrapped("actual    ", ledger.actual, width)
    lines += [f"input     {shape_words(ledger.shape)}", ""]
    lines += table(ledger, width, every_layer=every_layer)
    lines += [""]
    lines += _totals(ledger)
    lines += wrapped("note: ", ledger.convention, width)
    lines += [line for text in _remarks(ledger) for line in wrapped("note: ", text, width)]
    for note in ledger.notes:
        lines += wrapped("note: ", f"{note.code}: {note.title}; {note.arithmetic}", width)
        lines += wrapped("      ", note.change, width)
    if ledger.explanation is not None or ledger.crash:
        lines += ["", *_reason(ledger, width)]
    if ledger.actual is not None:
        lines += ["", *wrapped("", _answer(ledger), width)]
    text = "\n".join(lines)
    return text.translate(_PLAIN) if ascii_only else text


def _totals(ledger: Ledger) -> Iterator[str]:
    sides = [ledger.expected_totals, *([ledger.actual_totals] if ledger.actual_totals is not None else [])]
    lines = [["parameters"], ["buffers"], ["multiply-adds"], ["FLOPs"]]
    for side in sides:
        for line, number in zip(lines, (side.parameters, side.buffers, side.macs, side.flops), strict=True):
            line.append(f"{number:,}")
    head = ["", "expected", "actual"] if ledger.actual is not None else []
    rows = [*([head] if head else []), *lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (text.rjust(w) if i else text.ljust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True)))
        yield "  ".join(cells).rstrip()


def _remarks(ledger: Ledger) -> Iterator[str]:
    """What the totals hold that no row shows, and what differs besides shapes."""
    totals = ledger.actual_totals or ledger.expected_totals
    if ledger.crash is not None:
        yield "the candidate's multiply-adds and FLOPs are those up to where it raised"
    if totals.unused_parameters:
        names = ", ".join(totals.unused[:3]) + (", …" if len(totals.unused) > 3 else "")
        yield f"{totals.unused_parameters:,} parameters took no part in the forward pass: {names}"
    if totals.unregistered:
        yield f"{totals.unregistered:,} parameters are used, but not registered: no state dict has them; not counted"
    if totals.shared:
        yield f"{len(totals.shared)} tensors are held under a second name, and counted once: {totals.shared[0]}, …"
    if totals.uncounted:
        yield f"not counted: the multiply-adds of {', '.join(totals.uncounted[:3])}"
    rows = [row for row in ledger.rows if row.notes and row.actual is not None]
    for text, count, layer in _gathered(rows):
        more = f" and {count - 1} more" if count > 1 else ""
        yield f"{layer}{more}: {text}"


def _gathered(rows: Sequence[Row]) -> list[tuple[str, int, str]]:
    """Notes that say the same of several layers, said once: the note, how often, and the first layer."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        for note in row.notes:
            side = row.expected or row.actual
            found.setdefault(note.partition(":")[0], []).append((note, side.layers[-1] if side is not None else ""))
    gathered = [(notes[0][0], len(notes), notes[0][1]) for notes in found.values()]
    return gathered[:_DETAILED]


def _reason(ledger: Ledger, width: int) -> Iterator[str]:
    if ledger.crash is not None:
        yield from wrapped("raised    ", ledger.crash, width)
    if ledger.last_agreeing is not None and ledger.first_differing is not None:
        first = ledger.rows[ledger.first_differing]
        yield from wrapped("agrees    ", f"up to {_at(ledger.rows[ledger.last_agreeing])}", width)
        yield from wrapped("parts     ", f"at {_at(first)}", width)
    if ledger.explanation is not None:
        yield ""
        yield from explained(ledger.explanation, width)


def _at(row: Row) -> str:
    """A row in words: `layer1.1.bn2 (body.1.norm2), 1,64,56,56`."""
    side = row.expected or row.actual
    if side is None:
        return ""
    other = _other_name(row.expected, row.actual)
    shape = shape_words(side.shape)
    if row.expected is not None and row.actual is not None and row.actual.shape != row.expected.shape:
        shape = f"{shape_words(row.expected.shape)} expected, got {actual_shape(row)}"
    elif row.status in {"missing", "extra"}:
        shape = f"{shape}, which " + ("the candidate lacks" if row.status == "missing" else "is not expected")
    return f"{side.layers[-1]}{other}, {shape}"


def _other_name(expected: Side | None, actual: Side | None) -> str:
    if expected is None or actual is None or expected.layers[-1] == actual.layers[-1]:
        return ""
    return f" ({actual.layers[-1]})"


def _answer(ledger: Ledger) -> str:
    counts = dict.fromkeys(get_args(RowStatus), 0)
    for row in ledger.rows:
        counts[row.status] += layers_of([row])
    total = sum(len(row.expected.layers) for row in ledger.rows if row.expected is not None)
    if ledger.verdict == "same":
        return f"same: {total} of {total} layers have the expected shapes; `layerdiff run` compares their values"
    if ledger.verdict == "unknown":
        return "could not tell: none of the candidate's operations was seen"
    words: tuple[tuple[RowStatus, Callable[[int], str]], ...] = (
        ("differs", lambda n: f"{n} differ{'s' * (n == 1)}"),
        ("follows", lambda n: f"{n} follow{'s' * (n == 1)}"),
        ("missing", lambda n: f"{n} {'is' if n == 1 else 'are'} missing"),
        ("extra", lambda n: f"{n} too many"),
        ("unreached", lambda n: f"{n} not reached"),
        ("same", lambda n: f"{n} agree{'s' * (n == 1)}"),
    )
    pieces = [say(counts[status]) for status, say in words if counts[status]]
    crashed = [f"it raised at {ledger.crash.partition(':')[0]}"] if ledger.crash else []
    returns = [ledger.returns] if ledger.returns else []
    return "different: " + ", ".join([*crashed, *returns, *pieces])
