"""The comparison itself: two traces of one input, walked in step, every layer measured and then let go of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from layerdiff.compare.align import aligned
from layerdiff.compare.capture import check_input
from layerdiff.compare.counted import counted, operations_of
from layerdiff.compare.lane import Lane
from layerdiff.compare.lanes import lanes_between
from layerdiff.compare.layers import layer_results
from layerdiff.compare.memory import Memory
from layerdiff.compare.output import output_problem
from layerdiff.compare.result import Extra, LayerResult, Report
from layerdiff.compare.trace import Array, Op, Trace, digest, upto
from layerdiff.compare.verdict import settle
from layerdiff.errors import InputError

__all__ = ["DTYPES", "Dtype", "judge"]

_LOOKS = "its code looks at values ({line}): only the way that this input takes was judged"

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
    crash: str | None = None,
    memory: Memory | None = None,
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
        crash: where and how the candidate's forward pass ended, if it raised: `actual` is then what ran before.
        memory: of what `expected` gave for `x` in other judgements; None to remember nothing.

    Returns:
        A settled report.

    Raises:
        InputError: nothing to compare, `until` names no layer, or the expected network is in training mode.
    """
    check_input(x)
    # As capture gave it to the networks: a kernel may add in another order where the memory lies otherwise.
    x = np.array(x, order="C")
    until = until or expected.until
    ops = upto(expected.ops, until)
    _refuse_training(ops)
    _refuse_other_input(x, expected, actual)
    if not ops or not dtypes or not set(dtypes) <= set(DTYPES):
        asked = " and ".join(dtypes) or "no precision"
        raise InputError(f"judge: nothing to compare, got {len(ops)} layers in {asked}, expected float32 or float64")
    others = actual.ops
    alignment = aligned(expected, actual, until)
    places = {op.layer: index for index, op in enumerate(ops)}
    layers: list[LayerResult] = []
    # The input's own precision is always walked: only there the replay can be held against the forward passes.
    walked = tuple(dict.fromkeys((x.dtype.name, *dtypes)))
    with np.errstate(all="ignore"):
        lanes = lanes_between(
            expected, actual, alignment.pairs, x, seed=seed, until=until, dtypes=dtypes, looks=dict.fromkeys(walked),
            memory=memory,
        )  # fmt: skip
        for pair in alignment.pairs:
            if on_layer is not None:
                for op in pair.expected:
                    on_layer(op.layer)
            found = {dtype: lane.measure(pair) for dtype, lane in lanes.items()}
            layers.extend(layer_results(pair, [found[dtype] for dtype in dtypes], places))
        known, problem = True, ""
        if crash is None:
            known, problem = output_problem(expected, actual, alignment, lanes[x.dtype.name], until)
        blind = crash is None and _is_blind(expected, actual, lanes[x.dtype.name], until)
    layers.sort(key=lambda layer: layer.index)
    report = Report(
        expected=expected.network,
        actual=actual.network,
        layers=counted(layers, ops),
        extra=tuple(Extra(op.layer, op.kind, op.source) for op in alignment.extra),
        dtypes=tuple(dtypes),
        output=problem,
        output_known=known,
        crash=crash,
        until=until,
        notes=tuple(_LOOKS.format(line=line) for line in actual.looks),
        doubts=_doubts(actual, blind=blind and not known),
        blind=blind,
        operations=operations_of(others, alignment.pairs),
    )
    return settle(report)


def _is_blind(expected: Trace, actual: Trace, lane: Lane, until: str | None) -> bool:
    """Whether something happened that could not be seen, and what was returned does not say that it was wrong."""
    if not actual.unseen and (actual.returned_by is not None or until is not None):
        return False
    want, have = expected.returned, actual.returned
    if until is not None or want is None or have is None:
        return bool(actual.unseen)
    return have.shape == want.shape and lane.agrees(have, want)


def _doubts(actual: Trace, *, blind: bool) -> tuple[str, ...]:
    doubts = list(actual.unseen)
    if blind and not doubts:
        doubts.append(
            "what it returns agrees, and was made where nothing can be watched: TorchScript, another thread, NumPy"
        )
    if actual.random:
        doubts.append("it draws random numbers in eval mode: it may give something else the next time")
    return tuple(doubts)


def _refuse_other_input(x: Array, *traces: Trace) -> None:
    for trace in traces:
        if trace.input_digest != digest(x):
            raise InputError(f"judge: {trace.network} was captured on another input than the one that was given")
        saved = [op.layer for op in trace.ops if op.run is None]
        if saved:
            raise InputError(
                f"judge: {trace.network} comes from a file, and its operations cannot be run again",
                help="compare_traces compares two saved traces",
            )


def _refuse_training(ops: Sequence[Op]) -> None:
    training = [op.layer for op in ops if op.attributes.get("training")]
    if training:
        raise InputError(
            f"judge: {len(training)} layers of the expected network are in training mode, the first {training[0]}",
            help="call eval() on it: in training mode its outputs depend on the rest of the batch",
        )
