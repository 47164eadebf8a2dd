"""The expected network, there and back: all that a candidate's way back is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.gradients.chain import NoGradientError, swept
from layerdiff.compare.metrics import measure
from layerdiff.compare.playback import play
from layerdiff.compare.trace import INPUT, Array, Op
from layerdiff.compare.yardstick import generator
from layerdiff.errors import InputError

__all__ = ["Walk", "covector", "is_stopped"]


@dataclass(frozen=True)
class Walk:
    """The expected network, there and back.

    Attributes:
        ops: in order.
        values: of all of them, and the input's, by id.
        gradients: of all that one flows to, by id.
        seed: of what is drawn.
    """

    ops: tuple[Op, ...]
    values: Mapping[str, Array] = field(repr=False)
    gradients: Mapping[str, Array] = field(repr=False)
    seed: int

    @classmethod
    def of(cls, ops: tuple[Op, ...], x: Array, seed: int) -> Walk:
        """The walk from `x` to the end and back.

        Raises:
            InputError: an operation of the expected network cannot be differentiated.
        """
        played, _ = play(ops, {INPUT: x})
        values = {INPUT: x, **{one.op.layer: one.output for one in played}}
        try:
            gradients, _ = swept(ops, values, covector(played[-1].output, seed, "output"))
        except NoGradientError as error:
            raise InputError(f"gradients: the expected network has none, got {error}") from error
        return cls(ops, values, gradients, seed)


def covector(output: Array, seed: int, layer: str) -> Array:
    """A gradient from a seed for `output`: of both signs, the same in every precision, of its shape and dtype."""
    draws = generator(seed, layer, "covector").standard_normal(output.shape, dtype=np.float32)
    return draws.astype(output.dtype)


def is_stopped(walk: Walk, layer: str, expected: Array, actual: Array, allowance: Array) -> bool:
    """Whether two gradients of what a ReLU gave are the same behind it: zeros tie, and their gradient is lost."""
    relu = next((op for op in walk.ops if op.layer == layer and op.kind == "relu"), None)
    if relu is None or relu.pull is None:
        return False
    given = [walk.values[name] for name in relu.inputs]
    want, got = relu.pull(given, expected).inputs[0], relu.pull(given, actual).inputs[0]
    return want is not None and got is not None and measure("activations", want, got, allowance).over == 0
