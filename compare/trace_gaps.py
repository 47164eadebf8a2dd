"""The expected network run on a candidate's recorded values, through the gaps where none were recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layerdiff.compare.playback import run
from layerdiff.compare.trace import Array, Op
from layerdiff.compare.yardstick import allowance_of, drift, noise

__all__ = ["Judged", "Replay"]


_NO_INPUT = "the trace has no input, so nothing shows what this layer was given"


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


@dataclass(frozen=True)
class _Value:
    """A value that an operation is given: recorded, worked out by the expected operations, or lacking."""

    sources: tuple[str, ...]
    together: tuple[str, ...] = ()
    output: Array | None = None
    moved: Array | None = None
    lacking: str = ""


class Replay:
    """Runs the expected operations, in order, each on what the candidate recorded.

    Where an operation's input was recorded, the allowance is that of the operation. Where it was not, the operations
    before it are run from the nearest recorded values, and beside them a copy in which each one's output is moved by a
    random amount up to its allowance, as in `yardstick`. How far that copy is off is what rounding in the gap can
    explain; it is added to the operation's own allowance.

    Args:
        ops: of the expected network, in order.
        values: the candidate's, by expected layer id; `input` where it is known to be the same.
        dtype: to compute in.
        seed: of the random amounts.
    """

    def __init__(self, ops: Sequence[Op], values: Mapping[str, Array], dtype: np.dtype[Any], seed: int) -> None:
        self._values, self._dtype, self._seed = values, dtype, seed
        self._shapes = {op.layer: op.shape for op in ops}
        self._readers = Counter(layer for op in ops for layer in op.inputs)
        self._filled: dict[str, _Value] = {}

    def step(self, op: Op) -> Judged:
        """The next operation, on what the candidate recorded."""
        given = [self._given(layer) for layer in op.inputs]
        for layer in op.inputs:
            self._readers[layer] -= 1
            if self._readers[layer] <= 0:
                self._filled.pop(layer, None)
        sources = tuple(dict.fromkeys(layer for one in given for layer in one.sources))
        together = tuple(dict.fromkeys(layer for one in given for layer in one.together))
        lacking = next((one.lacking for one in given if one.lacking), "") or self._not_finite(sources)
        if lacking:
            found, moved = Judged(None, None, sources, together, lacking), None
        else:
            found, moved = self._run(op, given, sources, together)
        if op.layer not in self._values:
            self._filled[op.layer] = _Value(sources, (*together, op.layer), found.output, moved, found.lacking)
        return found

    def _run(
        self, op: Op, given: Sequence[_Value], sources: tuple[str, ...], together: tuple[str, ...]
    ) -> tuple[Judged, Array | None]:
        """What the operation gives, and what it gives beside, moved as far as rounding may."""
        inputs = [one.output for one in given if one.output is not None]
        try:
            output = run(op, inputs)
        except Exception:
            # Of the right shapes nothing may fail: that would be a fault of ours.
            wrong = self._misshapen(sources)
            if not wrong:
                raise
            return Judged(None, None, sources, together, f"it cannot be given {wrong}"), None
        allowance = allowance_of(op, tuple(inputs), output)
        if allowance is None:
            return Judged(output, None, sources, together, f"no allowance is known for {op.kind}"), None
        straight = all(one.moved is one.output for one in given)
        moved = output if straight else run(op, [one.moved for one in given if one.moved is not None])
        allowed = allowance if straight else allowance + drift(moved, output)
        amounts = noise(op, output, allowance, self._seed)
        if amounts is not None:
            moved = (moved + amounts).astype(output.dtype)
        return Judged(output, allowed, sources, together), moved

    def _given(self, layer: str) -> _Value:
        value = self._values.get(layer)
        if value is not None:
            value = value.astype(self._dtype, copy=False)
            return _Value((layer,), (), value, value)
        return self._filled.get(layer) or _Value((layer,), lacking=_NO_INPUT)

    def _not_finite(self, sources: tuple[str, ...]) -> str:
        spoilt = [layer for layer in sources if not np.isfinite(self._values[layer]).all()]
        return f"what it was given, {spoilt[0]}, is not finite" if spoilt else ""

    def _misshapen(self, sources: tuple[str, ...]) -> str:
        shapes = {layer: self._values[layer].shape for layer in sources if layer in self._shapes}
        wrong = [layer for layer, shape in shapes.items() if shape != self._shapes[layer]]
        return f"{wrong[0]} of shape {shapes[wrong[0]]}" if wrong else ""
