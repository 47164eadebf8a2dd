"""The comparison of two recorded traces, where nothing can be run again: end to end only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from layerdiff.compare.align import align
from layerdiff.compare.counted import counted, operations_of
from layerdiff.compare.gathered import Keep, gathered
from layerdiff.compare.lane import Found
from layerdiff.compare.layers import layer_results
from layerdiff.compare.look import Watch
from layerdiff.compare.metrics import measure
from layerdiff.compare.pairs import Pair
from layerdiff.compare.result import Extra, LayerResult, Measure, Report
from layerdiff.compare.second_look import Sides
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
    expected: Trace,
    actual: Trace,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    until: str | None = None,
    keep_evidence: Keep = "failed",
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
        keep_evidence: of which layers is kept what their error looks like.

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
    places = {op.layer: index for index, op in enumerate(ops)}
    bound = None if rtol is None or atol is None else (rtol, atol)
    layers = [one for pair in alignment.pairs for one in _layers(pair, places, expected, actual, bound)]
    report = Report(
        expected=expected.network,
        actual=actual.network,
        layers=counted(sorted(layers, key=lambda layer: layer.index), ops),
        extra=tuple(Extra(op.layer, op.kind, op.source) for op in alignment.extra),
        until=until,
        tolerance=None if rtol is None else f"rtol {rtol:g}, atol {atol:g}",
        replayed=False,
        operations=operations_of(actual.ops, alignment.pairs),
    )

    def again(wanted: Mapping[str, Measure], watch: Watch) -> Sides:
        for pair in alignment.pairs:
            layers = tuple(op.layer for op in pair.expected)
            if not wanted.keys().isdisjoint(layers):
                _found(pair, expected, actual, bound, partial(watch, layers))
        return {}

    return gathered(settle(report), again, keep=keep_evidence)


def _end(trace: Trace, until: str) -> int:
    return len(upto(trace.ops, until))


def _layers(
    pair: Pair, places: Mapping[str, int], expected: Trace, actual: Trace, bound: tuple[float, float] | None
) -> list[LayerResult]:
    found = _found(pair, expected, actual, bound)
    # Attributes come from a file, and parameters not at all: they are no evidence.
    return [replace(one, differences=(), parameters_differ=False) for one in layer_results(pair, [found], places)]


def _found(
    pair: Pair,
    expected: Trace,
    actual: Trace,
    bound: tuple[float, float] | None,
    show: Callable[[Measure, Array, Array, Array | float | None], None] | None = None,
) -> Found:
    found = Found()
    if not pair.actual:
        return found
    op, want = pair.expected[-1], expected.values[pair.expected[-1].layer]
    have = actual.values[pair.actual[-1].layer]
    if have.shape != want.shape:
        found.problems.append(f"shape: got {have.shape}, expected {want.shape}")
    elif have.dtype != want.dtype:
        found.problems.append(f"dtype: got {have.dtype}, expected {want.dtype}")
    else:
        allowed: Array | float = expected.floors[op.layer] if bound is None else 0.0
        if bound is not None:
            allowed = bound[1] + bound[0] * np.abs(want.astype(np.float64))
        with np.errstate(all="ignore"):
            found.measures.append(measure("propagated", want, have, allowed))
        if show is not None:
            show(found.measures[0], want, have, allowed)
    return found
