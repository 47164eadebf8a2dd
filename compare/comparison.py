"""Two traces of one input, walked in step: every layer measured and then let go of."""

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

__all__ = ["DTYPES", "Comparison", "Dtype"]

_LOOKS = "its code looks at values ({line}): only the way that this input takes was judged"

Dtype = Literal["float32", "float64"]
DTYPES: tuple[Dtype, ...] = ("float32", "float64")


class Comparison:
    """One candidate beside the expected network, as far as it was compared by now; `judge` has the arguments."""

    def __init__(
        self,
        expected: Trace,
        actual: Trace,
        x: Array,
        *,
        dtypes: Sequence[str],
        seed: int,
        until: str | None,
        on_layer: Callable[[str], None] | None,
        crash: str | None,
        memory: Memory | None,
    ) -> None:
        check_input(x)
        # As capture gave it to the networks: a kernel may add in another order where the memory lies otherwise.
        x = np.array(x, order="C")
        self._until = until or expected.until
        self._ops = upto(expected.ops, self._until)
        _refuse_training(self._ops)
        _refuse_other_input(x, expected, actual)
        if not self._ops or not dtypes or not set(dtypes) <= set(DTYPES):
            count, asked = len(self._ops), " and ".join(dtypes) or "no precision"
            raise InputError(f"judge: nothing to compare, got {count} layers in {asked}, expected float32 or float64")
        self._expected, self._actual, self._dtypes, self._crash = expected, actual, tuple(dtypes), crash
        self._on_layer, self._own = on_layer, x.dtype.name
        self._alignment = aligned(expected, actual, self._until)
        self._places = {op.layer: index for index, op in enumerate(self._ops)}
        self._layers: list[LayerResult] = []
        self._next = 0
        # The input's own precision is always walked: only there the replay can be held against the forward passes.
        self._lanes = lanes_between(
            expected, actual, self._alignment.pairs, x, seed=seed, until=self._until, dtypes=dtypes,
            looks=dict.fromkeys((self._own, *dtypes)), memory=memory,
        )  # fmt: skip

    @property
    def place(self) -> int | None:
        """The place of the last expected operation that is compared next; None at the end."""
        if self._next == len(self._alignment.pairs):
            return None
        return self._places[self._alignment.pairs[self._next].expected[-1].layer]

    def compare_next(self) -> None:
        """Compare the next operations of both networks."""
        pair = self._alignment.pairs[self._next]
        self._next += 1
        if self._on_layer is not None:
            for op in pair.expected:
                self._on_layer(op.layer)
        with np.errstate(all="ignore"):
            found = {dtype: lane.measure(pair) for dtype, lane in self._lanes.items()}
        self._layers.extend(layer_results(pair, [found[dtype] for dtype in self._dtypes], self._places))

    def report(self) -> Report:
        """What came of it, settled, once all is compared."""
        expected, actual, lane = self._expected, self._actual, self._lanes[self._own]
        known, problem, blind = True, "", False
        if self._crash is None:
            with np.errstate(all="ignore"):
                known, problem = output_problem(expected, actual, self._alignment, lane, self._until)
                blind = _is_blind(expected, actual, lane, self._until)
        report = Report(
            expected=expected.network,
            actual=actual.network,
            layers=counted(sorted(self._layers, key=lambda layer: layer.index), self._ops),
            extra=tuple(Extra(op.layer, op.kind, op.source) for op in self._alignment.extra),
            dtypes=self._dtypes,
            output=problem,
            output_known=known,
            crash=self._crash,
            until=self._until,
            notes=tuple(_LOOKS.format(line=line) for line in actual.looks),
            doubts=_doubts(actual, blind=blind and not known),
            blind=blind,
            operations=operations_of(actual.ops, self._alignment.pairs),
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
