"""Formats shorter than float32 (or float64), and operations of which inputs, weights or outputs are rounded to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from layerdiff.compare.allowance import Call
from layerdiff.compare.hypotheses.kit import Step
from layerdiff.compare.hypotheses.ruled import ruled, step_allowance
from layerdiff.compare.hypotheses.steps import step_of
from layerdiff.compare.trace import Array, Op

__all__ = ["FLOAT32", "FORMATS", "Format", "rounded_step"]


@dataclass(frozen=True)
class Format:
    """A format shorter than what is computed in.

    Attributes:
        name: of it.
        code: of the cause.
        roundoff: half its machine epsilon; all of it where it rounds downwards.
        to: rounds to it, and gives the precision that was given.
        is_stored: whether tensors are kept in it; else it is a processor's own, which sums in float32.
        ties: rounds what lies in the middle of two numbers the other way, where both ways are met.
    """

    name: str
    code: str
    roundoff: float
    to: Callable[[Tensor], Tensor]
    is_stored: bool
    ties: Callable[[Tensor], Tensor] | None = None


def _cut(x: Tensor, bits: int, half: int) -> Tensor:
    """Float32's last `bits` bits dropped, after `half` was added to them."""
    found = x.to(torch.float32).contiguous().view(torch.int32)
    return ((found + half) & ~((1 << bits) - 1)).view(torch.float32).to(x.dtype)


FORMATS = (
    Format("float16", "H2", 2.0**-11, lambda x: x.to(torch.float16).to(x.dtype), True),
    Format("bfloat16", "H2", 2.0**-8, lambda x: x.to(torch.bfloat16).to(x.dtype), True),
    # NVIDIA's conversion rounds ties away from zero; other ways to write it take the lower one.
    Format("TF32", "H1", 2.0**-11, lambda x: _cut(x, 13, 1 << 12), False, lambda x: _cut(x, 13, (1 << 12) - 1)),
    # What is given to a tensor core as it is loses its last bits without a rounding.
    Format("TF32, downwards", "H1", 2.0**-10, lambda x: _cut(x, 13, 0), False),
    Format("bfloat16, downwards", "H2", 2.0**-7, lambda x: _cut(x, 16, 0), False),
)
FLOAT32 = Format("float32", "H3", 2.0**-24, lambda x: x.to(torch.float32).to(x.dtype), True)


def rounded_step(op: Op, form: Format, *, operands: bool, weights: bool, output: bool) -> Step | None:
    """The expected operation on rounded inputs and weights, its output rounded or not; None where there is no step.

    Its allowance: that of the operation, its sums being made in float32 where the format is a processor's own, and
    one step of the format where the output is rounded.
    """
    inner = step_of(op)
    if inner is None:
        return None
    in_float32 = output or form.code == "H1"

    def prepared(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> tuple[list[Tensor], dict[str, Tensor]]:
        return (
            [form.to(one) if operands else one for one in x],
            {role: form.to(one) if weights else one for role, one in p.items()},
        )

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        y = inner.function(*prepared(x, p))
        return form.to(y) if output else y

    def allowance(call: Call) -> Array:
        as_is = np.float32 if in_float32 else call.output.dtype
        inputs = tuple(array.astype(as_is) for array in call.inputs)
        once = step_allowance(inner, Call(call.attributes, call.parameters, inputs, call.output.astype(as_is)), inputs)
        if form.ties is not None:
            once = once + _by_ties(inner, form.to, form.ties, call, operands=operands, weights=weights)
        return once + (2 * form.roundoff * np.abs(call.output) if output else 0.0)

    return ruled(allowance, function, inner.parameters)


def _by_ties(
    inner: Step, one: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor], call: Call, *,
    operands: bool, weights: bool,
) -> Array:  # fmt: skip
    """How far an output may move where what lies in the middle of two numbers is rounded the other way.

    An operation of which this is asked is linear in its input and in its weight: its magnitude on magnitudes bounds it.
    """
    x, p = ([torch.from_numpy(np.ascontiguousarray(array)) for array in call.inputs],
            {role: torch.from_numpy(np.array(array, dtype=call.output.dtype)) for role, array in call.parameters.items()
             if role != "bias"})  # fmt: skip

    def apart(t: Tensor) -> Tensor:
        return (one(t) - other(t)).abs()

    moved = torch.zeros(call.output.shape, dtype=x[0].dtype)
    if operands:
        moved = moved + inner.function([apart(t) for t in x], {role: t.abs() for role, t in p.items()})
    if weights:
        moved = moved + inner.function([t.abs() for t in x], {role: apart(t) for role, t in p.items()})
    bound: Array = 1.01 * moved.numpy()
    return bound
