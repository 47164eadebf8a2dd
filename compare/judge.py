"""The comparison itself: two traces of one input, walked in step, every layer measured and then let go of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import numpy as np

from layerdiff.compare.align import Alignment, Pair, align
from layerdiff.compare.capture import check_input
from layerdiff.compare.differences import attribute_differences, parameter_differences
from layerdiff.compare.metrics import measure
from layerdiff.compare.playback import Playback, run
from layerdiff.compare.result import Extra, LayerResult, Measure, Report
from layerdiff.compare.trace import Array, Op, Trace, is_within, upto
from layerdiff.compare.verdict import settle
from layerdiff.compare.yardstick import Step, allowance_of, generator, walk
from layerdiff.errors import InputError

__all__ = ["DTYPES", "Dtype", "judge"]

Dtype = Literal["float32", "float64"]
DTYPES: tuple[Dtype, ...] = ("float32", "float64")


def judge(
    expected: Trace,
    actual: Trace,
    x: Array,
    *,
    dtypes: Sequence[Dtype] = DTYPES,
    seed: int = 0,
    until: str | None = None,
    on_layer: Callable[[str], None] | None = None,
) -> Report:
    """Whether the candidate is the expected network, layer by layer.

    Every layer of the expected network is compared three ways in each precision: end to end, on the expected
    network's activations, and on a seeded dense input. Both networks run in step, and a layer's values are dropped
    once it is measured.

    Args:
        expected: the reference, captured on `x`.
        actual: the candidate, captured on `x`.
        x: (n, c, h, w) float32: the input of both.
        dtypes: precisions to compute in; float64 is the arbiter of the logic, float32 of the arithmetic.
        seed: of the dense probe and of the end-to-end floor.
        until: judge only this part, by layer id or the start of one.
        on_layer: called with each layer's id before it is measured.

    Returns:
        A settled report.

    Raises:
        InputError: nothing to compare, `until` names no layer, or the expected network is in training mode.
    """
    check_input(x)
    ops = upto(expected.ops, until)
    _refuse_training(ops)
    if not ops or not dtypes:
        raise InputError(f"judge: nothing to compare, got {len(ops)} layers in {len(dtypes)} precisions")
    others = _part(actual.ops, until)
    alignment = align(ops, others)
    taken = tuple(pair.actual.layer for pair in alignment.pairs if pair.actual is not None)
    layers: list[LayerResult] = []
    with np.errstate(all="ignore"), ExitStack() as stack:
        lanes = [_Lane(np.dtype(dtype), ops, others, taken, x, actual.values, seed) for dtype in dtypes]
        for lane in lanes:
            stack.callback(lane.close)
        for index, pair in enumerate(alignment.pairs):
            if on_layer is not None:
                on_layer(pair.expected.layer)
            layers.append(_layer_result(index, pair, [lane.measure(pair) for lane in lanes], seed=seed))
    return settle(_report(expected, actual, layers, alignment, until))


def _report(
    expected: Trace, actual: Trace, layers: list[LayerResult], alignment: Alignment, until: str | None
) -> Report:
    return Report(
        expected=expected.network,
        actual=actual.network,
        layers=tuple(layers),
        extra=tuple(Extra(op.layer, op.kind, op.source) for op in alignment.extra),
        until=until,
    )


def _part(ops: tuple[Op, ...], until: str | None) -> tuple[Op, ...]:
    if until is not None and not any(is_within(op.layer, until) for op in ops):
        return ops
    return upto(ops, until)


def _refuse_training(ops: Sequence[Op]) -> None:
    training = [op.layer for op in ops if op.attributes.get("training")]
    if training:
        raise InputError(
            f"judge: {len(training)} layers of the expected network are in training mode, the first {training[0]}",
            help="call eval() on it: in training mode its outputs depend on the rest of the batch",
        )


def _layer_result(index: int, pair: Pair, found: Sequence[_Found], *, seed: int) -> LayerResult:
    op, other = pair.expected, pair.actual
    attributes = attribute_differences(op, other) if other else ()
    parameters = parameter_differences(op, other) if other else ()
    problems = (*pair.problems, *(problem for one in found for problem in one.problems))
    return LayerResult(
        index=index,
        layer=op.layer,
        partner=other.layer if other else None,
        kind=op.kind,
        shape=op.shape,
        inputs=op.inputs,
        measures=tuple(measure for one in found for measure in one.measures),
        problems=tuple(dict.fromkeys(problems)),
        differences=attributes + parameters,
        parameters_differ=bool(parameters),
        source=other.source if other else None,
    )


class _Found:
    """What one lane found of one layer."""

    def __init__(self) -> None:
        self.measures: list[Measure] = []
        self.problems: list[str] = []


class _Lane:
    """Both networks in one precision."""

    def __init__(
        self,
        dtype: np.dtype[Any],
        ops: Sequence[Op],
        others: Sequence[Op],
        taken: Sequence[str],
        x: Array,
        recorded: Mapping[str, Array],
        seed: int,
    ) -> None:
        # What the forward pass itself gave, where it computed in this lane's precision.
        self._recorded = recorded if x.dtype == dtype else {}
        x = x.astype(dtype)
        self._dtype, self._seed = dtype, seed
        self._steps = walk(ops, x, seed=seed)
        self._actual: Playback | None = Playback(others, x, watched=taken)

    def close(self) -> None:
        self._steps.close()  # type: ignore[attr-defined]

    def measure(self, pair: Pair) -> _Found:
        found = _Found()
        step = next(self._steps)
        if pair.actual is not None and step.allowance is not None:
            self._end_to_end(pair.actual, step, found)
            self._alone(pair.actual, step, found)
        return found

    def _end_to_end(self, other: Op, step: Step, found: _Found) -> None:
        if self._actual is None:
            return
        try:
            output = self._actual.take(other.layer)
        except Exception:
            self._actual = None
            return
        if _mismatch(output, step.output) is None:
            found.measures.append(measure("propagated", step.output, output, step.floor))
        recorded = self._recorded.get(other.layer)
        if recorded is not None and not _reproduces(output, recorded, step.floor):
            found.problems.append("replay: running its operations again does not give what its forward pass gave")

    def _alone(self, other: Op, step: Step, found: _Found) -> None:
        if len(other.inputs) != len(step.inputs):
            return
        try:
            output = run(other, step.inputs)
        except Exception as error:
            found.problems.append(f"crash: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            return
        problem = _mismatch(output, step.output)
        if problem is not None:
            found.problems.append(problem)
            return
        found.measures.append(measure("activations", step.output, output, step.allowance))  # type: ignore[arg-type]
        self._dense(other, step, found)

    def _dense(self, other: Op, step: Step, found: _Found) -> None:
        inputs = tuple(
            dense_probe(array.shape, self._dtype, seed=self._seed, layer=f"{step.op.layer}#{i}")
            for i, array in enumerate(step.inputs)
        )
        expected = run(step.op, inputs)
        allowance = allowance_of(step.op, inputs, expected)
        try:
            output = run(other, inputs)
        except Exception as error:
            found.problems.append(f"crash on the dense probe: {type(error).__name__}: {error}")
            return
        if _mismatch(output, expected) is None and allowance is not None:
            found.measures.append(measure("dense", expected, output, allowance))


def dense_probe(shape: tuple[int, ...], dtype: np.dtype[Any], *, seed: int, layer: str) -> Array:
    """An input of both signs, no zeros and magnitudes from 0.5 to 1.5, the same in every precision."""
    draws = generator(seed, layer, "dense").random(shape, dtype=np.float32)
    draws -= np.float32(0.5)
    draws += np.copysign(np.float32(0.5), draws)
    draws *= np.float32(1.5)
    return draws.astype(dtype, copy=False)


def _reproduces(again: Array, recorded: Array, floor: float) -> bool:
    if again.shape != recorded.shape:
        return False
    # Two runs of one kernel need not agree to the bit (alignment, threads), but they agree to rounding.
    return bool(
        np.all((np.abs(again - recorded) <= floor) | (again == recorded) | (np.isnan(again) & np.isnan(recorded)))
    )


def _mismatch(actual: Array, expected: Array) -> str | None:
    if actual.shape != expected.shape:
        return f"shape: got {actual.shape}, expected {expected.shape}"
    if actual.dtype != expected.dtype:
        return f"dtype: got {actual.dtype} for inputs of {expected.dtype}, expected {expected.dtype}"
    return None
