"""The comparison of two recorded traces, where nothing can be run again: end to end only."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from layerdiff.compare.align import Pair, align
from layerdiff.compare.metrics import measure
from layerdiff.compare.result import Extra, LayerResult, Report
from layerdiff.compare.trace import Array, Trace, upto
from layerdiff.compare.verdict import settle
from layerdiff.compare.yardstick import walk
from layerdiff.errors import InputError

__all__ = ["compare_traces", "with_floors"]


def with_floors(trace: Trace, x: Array, *, seed: int = 0) -> Trace:
    """The trace with the end-to-end floor of every layer, so that others can be compared with it.

    Args:
        trace: captured on `x`, its operations can be run.
        x: the input.
        seed: of the floor's random amounts; see `yardstick`.
    """
    with np.errstate(all="ignore"):
        return replace(trace, floors={step.op.layer: step.floor for step in walk(trace.ops, x, seed=seed)})


def compare_traces(
    expected: Trace, actual: Trace, *, rtol: float | None = None, atol: float | None = None, until: str | None = None
) -> Report:
    """Whether two recorded traces agree, layer by layer, end to end.

    The first layer that differs is at fault, what takes its output inherits; that a second fault hides behind the
    first only a replay could show. The bound is the expected trace's floor, or `atol + rtol·|expected|` if given.

    Args:
        expected: the reference's trace, with values.
        actual: the candidate's trace, with values.
        rtol: relative tolerance; goes with `atol`, and replaces the floors.
        atol: absolute tolerance.
        until: judge only this part.

    Raises:
        InputError: the traces are not of the same input, the expected one has no floors and no tolerance is given,
            only one of `rtol` and `atol` is, or one of them is not a finite number from 0.
    """
    if (rtol is None) != (atol is None):
        raise InputError("compare: rtol and atol go together, got only one of them")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise InputError(f"compare: {name} is of no use, got {value}, expected a finite number from 0")
    if expected.input_digest and actual.input_digest and expected.input_digest != actual.input_digest:
        ours, theirs = expected.input_digest[:12], actual.input_digest[:12]
        raise InputError(f"compare: the traces are of different inputs, got {theirs}, expected {ours}")
    until = until or expected.until
    ops = upto(expected.ops, until)
    lacking = [op.layer for op in ops if op.layer not in expected.floors]
    if rtol is None and lacking:
        raise InputError(
            f"compare: the expected trace has no floor for {len(lacking)} layers, the first {lacking[0]}",
            help="capture it again from a network, or give --rtol and --atol",
        )
    alignment = align(ops, actual.ops if until is None else actual.ops[: _end(actual, until)])
    layers = [_layer(i, pair, expected, actual, rtol, atol) for i, pair in enumerate(alignment.pairs)]
    report = Report(
        expected=expected.network,
        actual=actual.network,
        layers=tuple(layers),
        extra=tuple(Extra(op.layer, op.kind, op.source) for op in alignment.extra),
        until=until,
        tolerance=None if rtol is None else f"rtol {rtol:g}, atol {atol:g}",
        replayed=False,
    )
    return settle(report)


def _end(trace: Trace, until: str) -> int:
    return len(upto(trace.ops, until))


def _layer(
    index: int, pair: Pair, expected: Trace, actual: Trace, rtol: float | None, atol: float | None
) -> LayerResult:
    op, other = pair.expected, pair.actual
    result = LayerResult(
        index, op.layer, other.layer if other else None, op.kind, op.shape, op.inputs, problems=pair.problems
    )
    if other is None:
        return result
    want, have = expected.values[op.layer], actual.values[other.layer]
    result = replace(result, source=other.source)
    for what, got, wish in (("shape", have.shape, want.shape), ("dtype", have.dtype, want.dtype)):
        if got != wish:
            return replace(result, problems=(*pair.problems, f"{what}: got {got}, expected {wish}"))
    if rtol is None or atol is None:
        allowed: Array | float = expected.floors[op.layer]
    else:
        allowed = atol + rtol * np.abs(want.astype(np.float64))
    with np.errstate(all="ignore"):
        return replace(result, measures=(measure("propagated", want, have, allowed),))
