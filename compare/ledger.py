"""The shape ledger: what every layer of two networks gives and costs, side by side, and why they part."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace

import msgspec

from layerdiff.compare.align import align
from layerdiff.compare.costs import CONVENTION, Totals, costs_of, totals_of
from layerdiff.compare.ledger_rows import Row, RowStatus, Side, rows_of, side_of, words_of
from layerdiff.compare.pairs import Alignment
from layerdiff.compare.reached import crashed_op, reached
from layerdiff.compare.result import Verdict
from layerdiff.compare.shape_errors import (
    Explanation,
    explain,
    explain_difference,
    explain_in_place,
    explain_state_dict,
)
from layerdiff.compare.structure import Structure
from layerdiff.compare.trace import Op
from layerdiff.errors import InputError

__all__ = ["Ledger", "Row", "RowStatus", "Side", "ledger_of", "ledger_to_json"]

SCHEMA = 1


@dataclass(frozen=True)
class Ledger:
    """Two networks side by side, or one alone.

    Attributes:
        expected: the expected network, in words.
        actual: the candidate; None where one network is shown alone.
        shape: of the input.
        rows: in the order in which the expected network runs; what the candidate has on top stands in its place.
        expected_totals: what the expected network costs.
        actual_totals: what the candidate costs, as far as it came.
        convention: what is counted, in words.
        last_agreeing: index of the last row before the first that does not agree; None where there is none.
        first_differing: index of the first row that does not agree; None where all do.
        crash: what the candidate's forward pass raised, in words.
        returns: what is wrong with what the candidate returns; empty for nothing.
        explanation: why the first shape differs, or why it raised.
        notes: what is no difference of shapes, but stands in the way of loading weights or of training.
        remarks: what the reader must know first, such as how the candidate was loaded.
        verdict: `same` where all shapes agree and nothing is missing or extra; `unknown` where nothing was compared.
        schema: version of this record's form.
    """

    expected: str
    actual: str | None
    shape: tuple[int, ...]
    rows: tuple[Row, ...]
    expected_totals: Totals
    actual_totals: Totals | None
    convention: str = CONVENTION
    last_agreeing: int | None = None
    first_differing: int | None = None
    crash: str | None = None
    returns: str = ""
    explanation: Explanation | None = None
    notes: tuple[Explanation, ...] = ()
    remarks: tuple[str, ...] = ()
    verdict: Verdict = "unknown"
    schema: int = field(default=SCHEMA)


def ledger_of(expected: Structure, actual: Structure | None = None, *, shared: Set[str] = frozenset()) -> Ledger:
    """The ledger of the expected network and a candidate, or of one network alone.

    Args:
        expected: the expected network, or the only one.
        actual: the candidate, up to where it came.
        shared: `costs.other_names` of the last of the two.

    Raises:
        InputError: the expected network raises on an input of this size.
    """
    if expected.crash is not None:
        raise InputError(
            f"{expected.network}: raises on an input of {list(expected.shape)}, got {expected.crash.message!r}, "
            "expected a forward pass that ends",
            help="a larger --size may do",
        )
    costs = costs_of(expected)
    if actual is None:
        rows = tuple(Row("alone", side_of((op,), costs), None) for op in expected.ops)
        return Ledger(expected.network, None, expected.shape, rows, totals_of(expected, shared), None, verdict="same")
    alignment, unreached = _aligned(expected, actual)
    table = rows_of(expected, actual, alignment, unreached)
    crash = actual.crash
    if crash is not None:
        explanation: Explanation | None = explain(crash, expected, actual, alignment)
    else:
        explanation = explain_difference(expected, actual, alignment)
    returns = _returns(expected, actual)
    differing = next((i for i, row in enumerate(table) if row.status != "same"), None)
    compared = any(row.status in {"same", "differs", "follows"} for row in table)
    different = differing is not None or bool(returns) or crash is not None
    notes = (_loading(expected, actual), explain_in_place(actual))
    return Ledger(
        expected=expected.network,
        actual=actual.network,
        shape=actual.shape,
        rows=table,
        expected_totals=totals_of(expected),
        actual_totals=totals_of(actual, shared),
        last_agreeing=differing - 1 if differing else (len(table) - 1 if differing is None and table else None),
        first_differing=differing,
        crash=f"{crash.layer or 'the network'}: {crash.error}: {crash.message}" if crash is not None else None,
        returns=returns,
        explanation=explanation,
        notes=tuple(note for note in notes if note is not None),
        verdict="unknown" if not compared and crash is None else "different" if different else "same",
    )


def ledger_to_json(ledger: Ledger) -> bytes:
    """The ledger as JSON, indented, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(ledger), indent=2) + b"\n"


def _loading(expected: Structure, actual: Structure) -> Explanation | None:
    """What stands in the way of loading the expected network's weights by their names, where names are alike at all."""
    if not expected.tensors or not actual.tensors:
        return None
    # A word in front of all names, such as `module.`, does not make them others.
    names = {*actual.tensors, *(name.partition(".")[2] for name in actual.tensors)}
    alike = 2 * sum(name in names for name in expected.tensors) >= len(expected.tensors)
    return explain_state_dict(expected.tensors, actual.tensors) if alike else None


def _aligned(expected: Structure, actual: Structure) -> tuple[Alignment, tuple[Op, ...]]:
    """Who stands for whom, and the expected operations that lie behind the crash."""
    if actual.crash is None:
        whole = align(expected.ops, actual.ops, expected_output=expected.returned_by, actual_output=actual.returned_by)
        return whole, ()
    ops = (*actual.ops, *crashed_op(actual.crash))
    part = reached(expected.ops, ops, expected.returned_by)
    found = align(part, ops)
    inside = {op.layer for op in part}
    # What nothing that ran depends on may have been still to come.
    needed = _needed(part, found)
    late = {pair.expected[-1].layer for pair in found.pairs if not pair.actual} - needed
    pairs = tuple(pair for pair in found.pairs if pair.expected[-1].layer not in late)
    return replace(found, pairs=pairs), tuple(op for op in expected.ops if op.layer not in inside or op.layer in late)


def _needed(ops: Sequence[Op], alignment: Alignment) -> set[str]:
    """Ids of the operations on which one that has a partner depends."""
    inputs = {op.layer: op.inputs for op in ops}
    waiting = [op.layer for pair in alignment.pairs if pair.actual for op in pair.expected]
    found: set[str] = set()
    while waiting:
        layer = waiting.pop()
        if layer in inputs and layer not in found:
            found.add(layer)
            waiting.extend(inputs[layer])
    return found


def _returns(expected: Structure, actual: Structure) -> str:
    """What is wrong with what the candidate returns; empty for nothing, or where it returned nothing at all."""
    if actual.crash is not None:
        return ""
    shapes = [
        next((op.shape for op in structure.ops if op.layer == structure.returned_by), None)
        for structure in (expected, actual)
    ]
    if actual.returned_as:
        return f"it returns {actual.returned_as}, expected one tensor"
    if shapes[0] is not None and shapes[1] != shapes[0]:
        got = words_of(shapes[1]) if shapes[1] is not None else "something that no operation of its own made"
        return f"it returns {got}, expected {words_of(shapes[0])}"
    return ""
