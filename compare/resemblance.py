"""How much an operation of one network looks like one of the other: a number for pairing, never a proof."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerdiff.compare.kinds import family
from layerdiff.compare.names import plain_name
from layerdiff.compare.trace import Array, Op

__all__ = ["FORBIDDEN", "gap_costs", "resemblance", "same_parameters"]

FORBIDDEN = -1e9
"""The resemblance of operations that do different jobs."""


def resemblance(expected: Sequence[Op], actual: Sequence[Op]) -> Array:
    """For each pair how alike they are: kind above all, then parameters, names, shapes and attributes.

    Returns:
        (len(expected), len(actual)) float64.
    """
    kinds = sorted({op.kind for op in (*expected, *actual)})
    codes = {kind: i for i, kind in enumerate(kinds)}
    worth = np.array([[3.0 if a == b else 1.0 if family(a, b) else FORBIDDEN for b in kinds] for a in kinds])
    rows, columns = ([codes[op.kind] for op in ops] for ops in (expected, actual))
    score: Array = worth[np.ix_(rows, columns)]
    score += 3.0 * _equal([op.path for op in expected], [op.path for op in actual])
    score += 1.0 * _equal([plain_name(op.path) for op in expected], [plain_name(op.path) for op in actual])
    score += 1.0 * _equal([op.shape for op in expected], [op.shape for op in actual])
    score += 3.0 * _equal([_form(op) for op in expected], [_form(op) for op in actual], absent=())
    score -= 2.0 * _unequal([_form(op) for op in expected], [_form(op) for op in actual], absent=())
    score += 1.0 * _equal(
        *(["running_mean" in op.parameters or None for op in ops] for ops in (expected, actual)), absent=None
    )
    for name in ("kernel_size", "stride", "eps"):
        # As text: a trace that was read from a file has lists where others have tuples.
        ours, theirs = ([_text(op.attributes.get(name)) for op in ops] for ops in (expected, actual))
        score += 0.5 * _equal(ours, theirs, absent="")
    score += 4.0 * _equal([_bits(op) for op in expected], [_bits(op) for op in actual], absent=None)
    return score


def gap_costs(ops: Sequence[Op]) -> Array:
    """What it costs to leave each operation without a partner: more for one with parameters."""
    return np.array([1.5 if op.parameters else 0.7 for op in ops])


def same_parameters(expected: Op, actual: Op) -> bool:
    """Whether both have parameters, and those of one are bit for bit those of the other."""
    bits = _bits(expected)
    return bits is not None and bits == _bits(actual)


def _form(op: Op) -> tuple[object, ...]:
    """The shape of its weight, whichever way it lies, or of its running mean."""
    for role in ("weight", "running_mean"):
        if role in op.parameters:
            # Kernels of OIHW, OHWI and HWIO are of one form.
            return (len(op.parameters[role].shape) > 1, *sorted(op.parameters[role].shape))
    return ()


def _bits(op: Op) -> object:
    weight = op.parameters.get("weight")
    if weight is None or weight.size < 2 or not weight.strides or 0 in weight.strides:
        return None
    flat = weight.reshape(-1)
    sample = flat[:: max(1, flat.size // 64)]
    return (weight.shape, sample.tobytes()) if sample.min() != sample.max() else None


def _text(value: object) -> str:
    return "" if value is None else str(tuple(value) if isinstance(value, (list, tuple)) else value)


def _equal(ours: Sequence[object], theirs: Sequence[object], *, absent: object = ...) -> Array:
    codes: dict[object, int] = {}
    here = np.array([codes.setdefault(value, len(codes)) for value in ours])
    there = np.array([codes.setdefault(value, len(codes)) for value in theirs])
    found: Array = (here[:, None] == there[None, :]) if here.size and there.size else np.zeros((here.size, there.size))
    if absent in codes:
        found[here == codes[absent]] = False
    return found.astype(np.float64)


def _unequal(ours: Sequence[object], theirs: Sequence[object], *, absent: object) -> Array:
    present = np.array([value != absent for value in ours])[:, None] & np.array([value != absent for value in theirs])
    differs: Array = present & (_equal(ours, theirs) == 0)
    return differs.astype(np.float64)
