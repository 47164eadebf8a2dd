"""Steps that bring their own allowance: a step on moved inputs, one with something added, a sum with factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerdiff.compare.allowance import RULES, Call, unit_roundoff
from layerdiff.compare.hypotheses.kit import Step
from layerdiff.compare.trace import Array

__all__ = ["combination", "moved", "on_arrays", "plus", "ruled", "scaled", "step_allowance"]


def ruled(
    allowance: Callable[[Call], Array],
    function: Callable[[Sequence[Tensor], Mapping[str, Tensor]], Tensor],
    parameters: Mapping[str, Array] | None = None,
    takes: tuple[str, ...] = (),
) -> Step:
    """A step of which `allowance` says how far two right implementations may lie apart; only as a model's first."""
    return Step("ruled", {"allowance": allowance}, parameters or {}, function, takes)


def moved(prepare: Callable[[Tensor], Tensor], step: Step) -> Step:
    """`step` on what `prepare` makes of its first input, which must round nothing: a flip, a slice, rows beside a map.

    It is one step, and not two, because nothing is known of how a convolution carries on what its input is allowed.
    """

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        return step.function([prepare(x[0]).contiguous(), *x[1:]], p)

    def allowance(call: Call) -> Array:
        return step_allowance(step, call, (on_arrays(prepare, call.inputs[0]), *call.inputs[1:]))

    return ruled(allowance, function, step.parameters, step.takes)


def plus(step: Step, constant: Array) -> Step:
    """What `step` gives, plus numbers that broadcast against it."""

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        return step.function(x, p) + p["constant"]

    def allowance(call: Call) -> Array:
        before = call.output - constant
        inner = step_allowance(step, Call(call.attributes, call.parameters, call.inputs, before), call.inputs)
        whole: Array = inner + 4 * unit_roundoff(call.output.dtype) * (np.abs(before) + np.abs(constant))
        return whole

    return ruled(allowance, function, {**step.parameters, "constant": constant}, step.takes)


def scaled(step: Step, factor: float) -> Step:
    """What `step` gives, times a number."""

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        return step.function(x, p) * factor

    def allowance(call: Call) -> Array:
        before = call.output / factor
        inner = step_allowance(step, Call(call.attributes, call.parameters, call.inputs, before), call.inputs)
        return abs(factor) * inner + 4 * unit_roundoff(call.output.dtype) * np.abs(call.output)

    return ruled(allowance, function, step.parameters, step.takes)


def combination(factors: Sequence[float], terms: Sequence[Callable[[Sequence[Tensor]], Tensor]]) -> Step:
    """The sum of some terms, each times a factor; a term takes all inputs.

    Its allowance: a rounding for each product and each sum, on both sides, of the sum of magnitudes.
    """

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        parts = [term(x) if factor == 1 else factor * term(x) for factor, term in zip(factors, terms, strict=True)]
        return sum(parts[1:], start=parts[0])

    def allowance(call: Call) -> Array:
        inputs = [torch.from_numpy(np.ascontiguousarray(array)) for array in call.inputs]
        whole = [np.abs(factor * term(inputs).numpy()) for factor, term in zip(factors, terms, strict=True)]
        rounded: Array = 4 * unit_roundoff(call.output.dtype) * np.sum(whole, axis=0)
        return rounded

    return ruled(allowance, function)


def step_allowance(step: Step, call: Call, inputs: tuple[Array, ...]) -> Array:
    """What a step alone is allowed on these inputs, with a call's parameters and output.

    Raises:
        ValueError: nothing is known of it.
    """
    if step.kind == "ruled":
        bring: Any = step.attributes["allowance"]
        brought: Array = bring(Call(step.attributes, call.parameters, inputs, call.output))
        return brought
    parameters = {role: array for role, array in call.parameters.items() if role in step.parameters}
    found = RULES[step.kind].allowance(Call(step.attributes, parameters, inputs, call.output))
    if found is None:
        raise ValueError(f"{step.kind}: no allowance for such a call")
    return found


def on_arrays(function: Callable[[Tensor], Tensor], array: Array) -> Array:
    """A function of tensors, of an array."""
    result: Array = function(torch.from_numpy(np.ascontiguousarray(array))).numpy()
    return result
