"""Two networks in one precision: each layer of one compared with its partner in the other, in three ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from layerdiff.compare.align import Pair
from layerdiff.compare.metrics import measure
from layerdiff.compare.playback import Playback, run, run_and_watch
from layerdiff.compare.result import Measure
from layerdiff.compare.trace import Array, Op, Trace
from layerdiff.compare.yardstick import Step, allowance_of, generator, walk

__all__ = ["Found", "Lane", "dense_probe"]


class Found:
    """What one lane found of one layer."""

    def __init__(self) -> None:
        self.measures: list[Measure] = []
        self.problems: list[str] = []


class Lane:
    """Both networks in one precision."""

    def __init__(
        self,
        dtype: np.dtype[Any],
        ops: Sequence[Op],
        others: Sequence[Op],
        taken: Sequence[str],
        x: Array,
        seed: int,
    ) -> None:
        # Where the candidate raises in another precision than its own, it cannot be cast, and is not wrong.
        self._own = x.dtype == dtype
        x = x.astype(dtype)
        self._dtype, self._seed = dtype, seed
        self._last: dict[str, Array] = {}
        self.floor = 0.0
        self._steps = walk(ops, x, seed=seed)
        self._actual: Playback | None = Playback(others, x, watched=taken)

    def close(self) -> None:
        """Let go of everything that is held."""
        self._steps.close()  # type: ignore[attr-defined]

    def measure(self, pair: Pair) -> Found:
        """Play the next layer of the expected network, and measure its partner against it."""
        found = Found()
        step = next(self._steps)
        self._last, self.floor = {"expected": step.output}, step.floor
        if pair.actual is not None and step.allowance is not None:
            self._end_to_end(pair.actual, step, found)
            self._alone(pair.actual, step, found)
        return found

    def reproduces(self, side: str, trace: Trace) -> bool:
        """Whether the last output that was played is what the network itself returned."""
        again, returned = self._last.get(side), trace.returned
        if again is None or returned is None or again.shape != returned.shape:
            return False
        # Two runs of one kernel need not agree to the bit (alignment, threads), but they agree to rounding.
        both_nan = np.isnan(again) & np.isnan(returned)
        return bool(np.all((np.abs(again - returned) <= self.floor) | (again == returned) | both_nan))

    def _end_to_end(self, other: Op, step: Step, found: Found) -> None:
        if self._actual is None:
            return
        try:
            output = self._actual.take(other.layer)
        except Exception:
            self._actual = None
            return
        if _mismatch(output, step.output) is None:
            found.measures.append(measure("propagated", step.output, output, step.floor))
        self._last["actual"] = output

    def _alone(self, other: Op, step: Step, found: Found) -> None:
        if len(other.inputs) != len(step.inputs):
            return
        try:
            output, changed = run_and_watch(other, step.inputs)
        except Exception as error:
            if self._own:
                found.problems.append(f"crash: {_first_line(error)}")
            return
        if changed and not other.in_place:
            found.problems.append("in place: changes what it is given, and gives something else")
        problem = _mismatch(output, step.output)
        if problem is not None:
            found.problems.append(problem)
            return
        found.measures.append(measure("activations", step.output, output, step.allowance))  # type: ignore[arg-type]
        self._dense(other, step, found)

    def _dense(self, other: Op, step: Step, found: Found) -> None:
        inputs = tuple(
            dense_probe(_probe_shape(step.op, array.shape), self._dtype, seed=self._seed, layer=f"{step.op.layer}#{i}")
            for i, array in enumerate(step.inputs)
        )
        expected = run(step.op, inputs)
        allowance = allowance_of(step.op, inputs, expected)
        try:
            output = run(other, inputs)
        except Exception as error:
            found.problems.append(f"crash on the dense probe: {_first_line(error)}")
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


def _probe_shape(op: Op, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The input's shape, or one large enough that every weight of a kernel meets something else than padding."""
    if op.kind != "conv2d":
        return shape
    kernel, dilation = op.parameters["weight"].shape[2:], op.attributes["dilation"]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]  # type: ignore[call-overload]
    return (*shape[:2], *(max(size, span) for size, span in zip(shape[2:], spans, strict=True)))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"


def _mismatch(actual: Array, expected: Array) -> str | None:
    if actual.shape != expected.shape:
        return f"shape: got {actual.shape}, expected {expected.shape}"
    if actual.dtype != expected.dtype:
        return f"dtype: got {actual.dtype} for inputs of {expected.dtype}, expected {expected.dtype}"
    return None
