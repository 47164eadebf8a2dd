"""How far rounding alone may carry the gradients of two right networks apart, from end to end: simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from layerdiff.compare.gradients.bounds import allowed
from layerdiff.compare.playback import run
from layerdiff.compare.trace import INPUT, Array, Op
from layerdiff.compare.yardstick import allowance_of, drift, generator, noise

__all__ = ["floors"]

_UNKNOWN = 16
"""Roundings of its largest value by which an operation without a rule is moved, such as a batch norm in training."""


def floors(
    ops: Sequence[Op], values: Mapping[str, Array], gradients: Mapping[str, Array], *, seed: int
) -> dict[str, float]:
    """The largest end-to-end error that rounding can explain in the gradient of each layer's output.

    Beside the network runs a copy of it in which every value on the way there, and every gradient on the way back, is
    moved by a random amount up to what is allowed for it; see `yardstick`. How far its gradients drift is the floor.

    Args:
        ops: of the expected network, in order.
        values: of all of them and of the input, by id, in the precision to compute in.
        gradients: of all that one flows to, by id.
        seed: of the random amounts.
    """
    moved: dict[str, Array] = {INPUT: values[INPUT]}
    for op in ops:
        taken = tuple(moved[layer] for layer in op.inputs)
        output = run(op, taken)
        allowance = allowance_of(op, tuple(values[layer] for layer in op.inputs), values[op.layer])
        moved[op.layer] = output + _amount(op, output, allowance, seed)
    back: dict[str, Array] = {ops[-1].layer: gradients[ops[-1].layer]}
    found: dict[str, float] = {}
    for op in reversed(ops):
        gradient = back.pop(op.layer, None)
        if gradient is None or op.pull is None:
            continue
        found[op.layer] = drift(gradient, gradients[op.layer])
        taken_ = [moved[layer] for layer in op.inputs]
        bound = allowed(op, taken_, gradient)
        for place, (layer, part) in enumerate(zip(op.inputs, op.pull(taken_, gradient).inputs, strict=True)):
            if part is None:
                continue
            own = bound.inputs[place] if bound is not None else None
            limit = _UNKNOWN * _roundoff(part) * np.abs(part).max() if own is None else own
            draws = generator(seed, f"{op.layer}#{place}", "drift back").random(part.shape) * 2 - 1
            moved_part = (part + draws * limit).astype(part.dtype)
            back[layer] = back[layer] + moved_part if layer in back else moved_part
    return found


def _amount(op: Op, output: Array, allowance: Array | None, seed: int) -> Array | float:
    if allowance is None:
        allowance = np.asarray(_UNKNOWN * _roundoff(output) * np.abs(output).max())
    amount = noise(op, output, allowance, seed)
    return 0.0 if amount is None else amount.astype(output.dtype)


def _roundoff(array: Array) -> float:
    return float(np.finfo(array.dtype).eps) / 2
