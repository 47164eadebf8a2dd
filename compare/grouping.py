"""Groups: operations that are judged as one, because one network writes in other steps what the other writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from layerdiff.compare.drafts import HEAD, Draft, Group, is_glue
from layerdiff.compare.graph import Graph
from layerdiff.compare.grouping_fillers import expected_fillers, fillers_behind, movers_before, repeated
from layerdiff.compare.grouping_head import head_at_once
from layerdiff.compare.grouping_layers import folded_norms, layers_in_parts, layers_in_two
from layerdiff.compare.kinds import ARITHMETIC, IDLE, MOVING, PLAIN, family
from layerdiff.compare.trace import Op

__all__ = ["grouped"]

Run = tuple[list[Op], list[Op]]

_COMMUTE = frozenset({"relu", "max_pool2d"})
_MATRIX_PRODUCTS = frozenset({"matmul", "mm", "bmm", "einsum", "addmm", "baddbmm", "tensordot"})


def grouped(steps: Sequence[tuple[Op | None, Op | None]], here: Graph, there: Graph) -> tuple[list[Group], list[Op]]:
    """Groups out of an alignment, and the candidate's operations that are left over.

    Args:
        steps: pairs, and on either side operations alone, in order.
        here: the expected network.
        there: the candidate.
    """
    groups: list[Group] = []
    extra: list[Op] = []
    for ours, theirs in _runs(_swapped_back(steps)):
        found, rest = _of_run(ours, theirs, there)
        groups += found
        extra += rest
    draft = Draft(tuple(groups), tuple(extra), here, there)
    passes: tuple[Callable[[Draft], Draft], ...] = (
        layers_in_two, layers_in_parts, folded_norms, head_at_once, fillers_behind, repeated, movers_before,
        expected_fillers,
    )  # fmt: skip
    for one in passes:
        draft = one(draft)
    return list(draft.groups), list(draft.extra)


def _swapped_back(steps: Sequence[tuple[Op | None, Op | None]]) -> list[tuple[Op | None, Op | None]]:
    """Where two operations that commute come in the other order, both are taken out of their pairs, to be one group."""
    steps = list(steps)
    for i in range(len(steps) - 1):
        window = steps[i : i + 3]
        ours = [op for op, _ in window if op is not None]
        theirs = [op for _, op in window if op is not None]
        if len(ours) == len(theirs) == 2 and (_commuted(ours, theirs) or _classifier_first(ours, theirs)):
            steps[i : i + 3] = [(op, None) for op in ours] + [(None, op) for op in theirs]
        elif (start := _pooled_by_hand(steps, i)) is not None:
            ours = [op for op, _ in steps[start : i + 2] if op is not None]
            theirs = [op for _, op in steps[start : i + 2] if op is not None]
            steps[start : i + 2] = [(op, None) for op in ours] + [(None, op) for op in theirs]
    return steps


def _pooled_by_hand(steps: Sequence[tuple[Op | None, Op | None]], i: int) -> int | None:
    """Where the arithmetic of a max-pool begins, if the pair at `i` is a ReLU that stands behind such arithmetic.

    None unless the expected network has its max-pool right behind that ReLU, and nothing stands for it there.
    """
    op, other = steps[i]
    pool, behind = steps[i + 1]
    if op is None or other is None or pool is None or behind is not None:
        return None
    if (op.kind, pool.kind) != ("relu", "max_pool2d") or other.shape != pool.shape:
        return None
    start = i
    while start and (before := steps[start - 1])[0] is None and _is_arithmetic(before[1]):
        start -= 1
    arithmetic = {one.kind for _, one in steps[start:i] if one is not None}
    return start if arithmetic & {"amax", "max", "maximum"} else None


def _is_arithmetic(op: Op | None) -> bool:
    return op is not None and op.kind in ARITHMETIC | MOVING | IDLE and not op.parameters


def _commuted(ours: Sequence[Op], theirs: Sequence[Op]) -> bool:
    kinds = {op.kind for op in (*ours, *theirs)}
    crossed = all(family(a.kind, b.kind) for a, b in zip(ours, theirs[::-1], strict=True))
    return crossed and not family(ours[0].kind, ours[1].kind) and kinds <= _COMMUTE


def _classifier_first(ours: Sequence[Op], theirs: Sequence[Op]) -> bool:
    """Whether a 1x1 convolution of a 1x1 map, and then flatten, stand for flatten and then a linear layer."""
    kinds = [op.kind for op in (*ours, *theirs)]
    return (
        kinds[1:3] == ["linear", "conv2d"]
        and kinds[0] in HEAD
        and kinds[3] in HEAD
        and theirs[0].attributes.get("kernel_size") == (1, 1)
    )


def _runs(steps: Sequence[tuple[Op | None, Op | None]]) -> list[Run]:
    """The steps cut into pairs of one operation each, and what lies alone between two of them."""
    runs: list[Run] = []
    open_: Run | None = None
    for op, other in steps:
        if op is not None and other is not None:
            runs.append(([op], [other]))
            open_ = None
            continue
        if open_ is None:
            open_ = ([], [])
            runs.append(open_)
        if op is not None:
            open_[0].append(op)
        if other is not None:
            open_[1].append(other)
    return runs


def _of_run(ours: list[Op], theirs: list[Op], there: Graph) -> tuple[list[Group], list[Op]]:
    if ours and len(ours) == len(theirs) and all(_may_pair(a, b) for a, b in zip(ours, theirs, strict=True)):
        return [Group((op,), (other,)) for op, other in zip(ours, theirs, strict=True)], []
    if ours and theirs and _stands_for(ours, theirs, there):
        return [Group(tuple(ours), tuple(theirs))], []
    layers = _in_layers(ours, theirs)
    if layers and all(_stands_for([op], part, there) for op, part in layers):
        return [Group((op,), tuple(part)) for op, part in layers], []
    return [Group((op,), ()) for op in ours], theirs


def _may_pair(op: Op, other: Op) -> bool:
    own_class = other.kind not in PLAIN and other.kind not in ARITHMETIC
    return family(op.kind, other.kind) or (own_class and bool(op.parameters) == bool(other.parameters))


def _stands_for(ours: list[Op], theirs: list[Op], there: Graph) -> bool:
    """Whether a run of the candidate's operations can be another way to write a run of expected ones."""
    swapped = sorted(op.kind for op in ours) == sorted(op.kind for op in theirs) or (
        len(ours) == len(theirs) == 2 and _classifier_first(ours, theirs)
    )
    made_of = all(op.kind in ARITHMETIC | MOVING | HEAD or (op.kind in IDLE and is_glue(op)) for op in theirs)
    # What does nothing, or only moves numbers, stands for nothing but that.
    still = IDLE | MOVING
    made_of = made_of and (any(op.kind not in still for op in theirs) or all(op.kind in still | HEAD for op in ours))
    layers = [op for op in ours if op.parameters]
    # Arithmetic can be one layer with parameters, or several without any.
    if not swapped and (not made_of or len(layers) > 1 or (layers and len(ours) > 1)):
        return False
    if any(op.kind == "add" and len(op.inputs) == 2 for op in ours) and not swapped:
        return False
    if not layers and any(op.parameters for op in theirs):
        return False
    return _is_one_piece(theirs, there)


def _in_layers(ours: list[Op], theirs: list[Op]) -> list[tuple[Op, list[Op]]]:
    """Each layer of a run beside the candidate's arithmetic for it; empty where that cannot be divided."""
    rest, found = theirs, []
    for op in ours[:-1]:
        end = _ENDS.get(op.kind, _end_of_chain)(rest)
        found.append((op, rest[:end]))
        rest = rest[end:]
    found = [*found, (ours[-1], rest)] if ours else []
    return found if all(part for _, part in found) else []


def _end_of_product(ops: list[Op]) -> int:
    """How many of `ops` make a product: those up to it, and what moves its numbers behind it; 0 for none."""
    place = next((i for i, op in enumerate(ops) if op.kind in _MATRIX_PRODUCTS), None)
    if place is None:
        return 0
    end = place + 1
    while end < len(ops) and ops[end].kind in MOVING and ops[end].inputs == (ops[end - 1].layer,):
        end += 1
    # A padding there begins the next layer.
    while ops[end - 1].kind == "pad":
        end -= 1
    return end


def _end_of_chain(ops: list[Op]) -> int:
    """How many of `ops` take one another's output one after the other, before the next product's patches."""
    end = 1 if ops else 0
    while end < len(ops) and ops[end].inputs == (ops[end - 1].layer,) and ops[end].kind not in MOVING | {"unfold"}:
        end += 1
    return end


def _end_of_maxima(ops: list[Op]) -> int:
    """How many of `ops` make a max-pool: those up to the largest of each window; 0 for none."""
    return next((i + 1 for i, op in enumerate(ops) if op.kind in {"amax", "max", "maximum"}), 0)


_ENDS = {"conv2d": _end_of_product, "linear": _end_of_product, "max_pool2d": _end_of_maxima}


def _is_one_piece(ops: Sequence[Op], graph: Graph) -> bool:
    """Whether only the last of `ops` is used outside, so that they can be run as one."""
    inside = {op.layer for op in ops}
    return all(set(graph.consumers[op.layer]) <= inside for op in ops[:-1])
