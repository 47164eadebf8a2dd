"""The rows of the shape ledger: a layer of the expected network, and what stands for it in the candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from layerdiff.compare.costs import Cost, costs_of
from layerdiff.compare.pairs import Alignment, Pair, outside_inputs
from layerdiff.compare.shape_errors.facts import lies_otherwise
from layerdiff.compare.shape_errors.windows import settings_that_differ
from layerdiff.compare.structure import Structure
from layerdiff.compare.trace import INPUT, Op

__all__ = ["Row", "RowStatus", "Side", "rows_of", "side_of", "words_of"]

RowStatus = Literal["same", "differs", "follows", "missing", "extra", "crashed", "unreached", "alone"]


@dataclass(frozen=True)
class Side:
    """What one of the networks has in a row: nearly always one operation.

    Attributes:
        layers: ids.
        kinds: of each.
        shape: of the last one's output; None where it raised.
        tensors: shapes of the parameters and buffers, by role, where one operation has all of them.
        cost: of all.
        source: `file:line` of the last one.
    """

    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    shape: tuple[int, ...] | None
    tensors: Mapping[str, tuple[int, ...]]
    cost: Cost
    source: str | None = None


@dataclass(frozen=True)
class Row:
    """A layer of the expected network, and what stands for it in the candidate.

    Attributes:
        status: `same`: the shapes agree; `differs`; `follows`: they differ, as those of what it takes do, and nothing
            else is seen to be wrong with it; `missing`: the candidate has nothing there; `extra`: the expected
            network has nothing there; `crashed`: it raised there; `unreached`: it raised before; `alone`: there is no
            other network.
        expected: None for an extra one.
        actual: None for a missing one.
        problems: how the shapes differ, in words.
        notes: what differs otherwise: another kind, a bias that is not expected, the wiring.
    """

    status: RowStatus
    expected: Side | None
    actual: Side | None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def rows_of(expected: Structure, actual: Structure, alignment: Alignment, unreached: Sequence[Op]) -> tuple[Row, ...]:
    """The rows of two networks, what the candidate has on top behind the row that ran last before it."""
    costs, theirs = costs_of(expected), costs_of(actual)
    crashed = actual.crash.layer if actual.crash is not None else None
    given = {op.layer: op.shape for op in (*actual.ops,)} | {INPUT: actual.shape}
    wanted = {op.layer: op.shape for op in expected.ops} | {INPUT: expected.shape}
    rows = [_row(pair, costs, theirs, crashed, follows=_follows(pair, wanted, given)) for pair in alignment.pairs]
    place = {op.layer: i for i, op in enumerate(actual.ops)}
    for op in alignment.extra:
        # Behind the row whose operation ran last before it.
        before = [
            i for i, row in enumerate(rows)
            if row.actual is not None and max(place.get(layer, len(place)) for layer in row.actual.layers)
            < place.get(op.layer, len(place))
        ]  # fmt: skip
        status: RowStatus = "crashed" if op.layer == crashed else "extra"
        side = side_of((op,), theirs, crashed)
        rows.insert(max(before, default=-1) + 1, Row(status, None, side, (f"{op.layer} is too many",)))
    rows += [Row("unreached", side_of((op,), costs), None) for op in unreached]
    return tuple(rows)


def _follows(pair: Pair, wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether what a pair's operations take differs in shape, and their own settings of windows do not."""
    if not pair.actual:
        return False
    takes = sorted(given.get(layer, ()) for layer in outside_inputs(pair.actual))
    should = sorted(wanted[layer] for layer in outside_inputs(pair.expected))
    return takes != should and not settings_that_differ(pair.actual[-1], pair.expected[-1])


def _row(
    pair: Pair, costs: Mapping[str, Cost], theirs: Mapping[str, Cost], crashed: str | None, *, follows: bool
) -> Row:
    expected = side_of(pair.expected, costs)
    if not pair.actual:
        return Row("missing", expected, None, (pair.reason,))
    actual = side_of(pair.actual, theirs, crashed)
    if actual.shape is None:
        return Row("crashed", expected, actual, ("it raised",), pair.problems)
    problems, notes = [], list(pair.problems)
    if lies_otherwise(actual.shape, expected.shape or ()):
        notes.append(f"shape: got {words_of(actual.shape)}, expected {words_of(expected.shape or ())}")
    elif actual.shape != expected.shape:
        problems.append(f"shape: got {words_of(actual.shape)}, expected {words_of(expected.shape or ())}")
    for role in dict.fromkeys((*expected.tensors, *actual.tensors)):
        have, want = actual.tensors.get(role), expected.tensors.get(role)
        if not expected.tensors or not actual.tensors or have == want:
            continue
        if want is None:
            notes.append(f"{role}: got {words_of(have or ())}, expected none")
        elif have is None:
            problems.append(f"{role}: got none, expected {words_of(want)}")
        elif _form(have) == _form(want):
            notes.append(f"{role}: lies as {words_of(have)}, expected {words_of(want)}")
        else:
            problems.append(f"{role}: got {words_of(have)}, expected {words_of(want)}")
    status: RowStatus = "same"
    if problems:
        status = "follows" if follows and problems[0].startswith("shape") and len(problems) == 1 else "differs"
    return Row(status, expected, actual, tuple(problems), tuple(notes))


def _form(shape: Sequence[int]) -> list[int]:
    """The sizes of a tensor whichever way it lies; a matrix and a 1×1 kernel are of one form."""
    return sorted(size for size in shape if size != 1)


def side_of(ops: Sequence[Op], costs: Mapping[str, Cost], crashed: str | None = None) -> Side:
    """What operations of one network give and cost together; `crashed` names the one that raised."""
    holders = [op for op in ops if op.parameters]
    shapes = {role: tuple(array.shape) for role, array in holders[0].parameters.items()} if len(holders) == 1 else {}
    return Side(
        layers=tuple(op.layer for op in ops),
        kinds=tuple(op.kind for op in ops),
        shape=None if crashed in {op.layer for op in ops} else ops[-1].shape,
        tensors=shapes,
        cost=sum((costs.get(op.layer, Cost()) for op in ops), Cost()),
        source=ops[-1].source,
    )


def words_of(shape: Sequence[int]) -> str:
    """A shape as Python writes it: `(1, 64, 56, 56)`."""
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
