"""The expected network run on a candidate's recorded values, through the gaps where none were recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layerdiff.compare.playback import run
from layerdiff.compare.trace import Array, Op
from layerdiff.compare.yardstick import allowance_of, generator

__all__ = ["Judged", "Replay"]


@dataclass(frozen=True)
class Judged:
    """What the expected operations give on the candidate's own values.

    Attributes:
        output: of the operation; None where it could not be run.
        allowed: the largest error that rounding can explain, broadcasting to the output; None where that is unknown.
        sources: ids of the recorded layers (or `input`) from which it was reached.
        together: ids of the operations on the way that have no recorded value, in order.
        lacking: why there is no output or no allowance; empty where there are both.
    """

    output: Array | None = field(repr=False)
    allowed: Array | None = field(repr=False)
    sources: tuple[str, ...]
    together: tuple[str, ...]
    lacking: str = ""


@dataclass
class _Filled:
    """A value that was not recorded, worked out by the expected operations, and how far rounding may move it."""

    output: Array
    moved: Array
    sources: tuple[str, ...]
    together: tuple[str, ...]


class Replay:
    """Runs the expected operations, in order, each on what the candidate recorded.

    Where an operation's input was recorded, the allowance is that of the operation. Where it was not, the operations
    before it are run from the nearest recorded values, and beside them a copy in which each one's output is moved by a
    random amount up to its allowance, as in `yardstick`. How far that copy is off is what rounding in the gap can
    explain; it is added to the operation's own allowance.

    Args:
        ops: of the expected network, in order.
        values: the candidate's, by expected layer id, in one precision; `input` where it is known to be the same.
        dtype: to compute in.
        seed: of the random amounts.
    """

    def __init__(self, ops: Sequence[Op], values: Mapping[str, Array], dtype: np.dtype[Any], seed: int) -> None:
        self._values, self._dtype, self._seed = values, dtype, seed
        self._shapes = {op.layer: op.shape for op in ops}
        self._readers = Counter(layer for op in ops for layer in op.inputs)
        self._filled: dict[str, _Filled | str] = {}

    def step(self, op: Op) -> Judged:
        """The next operation, on what the candidate recorded."""
        found, moved = self._run(op)
        if op.layer not in self._values:
            self._fill(op, found, moved)
        for layer in op.inputs:
            self._readers[layer] -= 1
            if self._readers[layer] <= 0:
                self._filled.pop(layer, None)
        return found

    def _run(self, op: Op) -> tuple[Judged, Array | None]:
        given = [self._given(layer) for layer in op.inputs]
        filled = [one for one in given if isinstance(one, _Filled)]
        sources = tuple(dict.fromkeys(layer for one in filled for layer in one.sources))
        together = tuple(dict.fromkeys(layer for one in filled for layer in one.together))
        lacking = next((one for one in given if isinstance(one, str)), "") or self._unfit(op, sources)
        inputs = tuple(one.output for one in filled)
        if lacking:
            return Judged(None, None, sources, together, lacking), None
        try:
            output = run(op, inputs)
        except Exception:
            if not self._misshapen(sources):
                raise
            return Judged(None, None, sources, together, f"does not take {self._misshapen(sources)}"), None
        allowance = allowance_of(op, inputs, output)
        if allowance is None:
            return Judged(output, None, sources, together, f"no allowance is known for {op.kind}"), None
        if all(one.moved is one.output for one in filled):
            return Judged(output, allowance, sources, together), output
        moved = run(op, tuple(one.moved for one in filled))
        drift = float(np.abs(np.subtract(moved, output, dtype=np.float64)).max())
        return Judged(output, allowance + drift, sources, together), moved

    def _given(self, layer: str) -> _Filled | str:
        value = self._values.get(layer)
        if value is not None:
            value = value.astype(self._dtype, copy=False)
            return _Filled(value, value, (layer,), ())
        return self._filled.get(layer, "the trace has no input: nothing shows what this layer was given")

    def _unfit(self, op: Op, sources: tuple[str, ...]) -> str:
        spoilt = [layer for layer in sources if not np.isfinite(self._values[layer]).all()]
        return f"what it was given, {spoilt[0]}, is not finite" if spoilt else ""

    def _misshapen(self, sources: tuple[str, ...]) -> str:
        wrong = [layer for layer in sources if self._values[layer].shape != self._shapes.get(layer, ())]
        return f"the shape {self._values[wrong[0]].shape} of {wrong[0]}" if wrong else ""

    def _fill(self, op: Op, found: Judged, moved: Array | None) -> None:
        if found.output is None or moved is None:
            self._filled[op.layer] = found.lacking
            return
        allowance = allowance_of(op, (), found.output) if False else None
        del allowance
