"""What is allowed for the gradients of one layer, or of several that are judged as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.gradients.bounds import allowed
from layerdiff.compare.playback import play
from layerdiff.compare.trace import Array, Op

__all__ = ["Together", "allowed_together"]

_NEVER_NEGATIVE = frozenset({"flatten", "view", "reshape", "permute", "adaptive_avg_pool2d", "avg_pool2d", "mean",
                             "relu", "max_pool2d", "add", "dropout", "identity", "squeeze"})  # fmt: skip
"""Kinds that have no negative derivatives: an error on the way back goes through them as a gradient does."""


@dataclass(frozen=True)
class Together:
    """Allowances by the names that `chain.Chained` has."""

    inputs: Mapping[str, Array] = field(repr=False)
    parameters: Mapping[str, Array] = field(repr=False)


def allowed_together(ops: Sequence[Op], given: Mapping[str, Array], covector: Array) -> Together | None:
    """What rounding explains in the gradients of `ops`, run as one; None where that is not known.

    An allowance for the gradient of one operation is an error in the covector of the one before it. Where that one's
    derivatives are all positive it comes out as its own gradient for such a covector; where not, nothing is said.

    Args:
        ops: of the expected network, in order.
        given: the value of everything they take from outside, by id.
        covector: of the last one's output.
    """
    played, _ = play(ops, given)
    values = {**given, **{one.op.layer: one.output for one in played}}
    gradients: dict[str, Array] = {ops[-1].layer: covector}
    errors: dict[str, Array] = {}
    parameters: dict[str, Array] = {}
    for op in reversed(ops):
        if op.layer not in gradients or op.pull is None:
            continue
        taken = [values[layer] for layer in op.inputs]
        bound = allowed(op, taken, gradients[op.layer])
        error = errors.get(op.layer)
        if bound is None or any(one is None for one in bound.inputs) or (error is not None and not _passes(op)):
            return None
        pulled = op.pull(taken, gradients[op.layer])
        passed = op.pull(taken, error.astype(taken[0].dtype)).inputs if error is not None else ()
        for place, (layer, part) in enumerate(zip(op.inputs, pulled.inputs, strict=True)):
            if part is None:
                continue
            gradients[layer] = gradients[layer] + part if layer in gradients else part
            found = [errors.get(layer), bound.inputs[place], passed[place] if passed else None]
            sizes = [np.broadcast_to(one, part.shape) for one in found if one is not None]
            errors[layer] = np.sum(sizes, axis=0)
        parameters |= {op.keys[role]: array for role, array in bound.parameters.items() if role in op.keys}
    return Together({layer: errors[layer] for layer in given if layer in errors}, parameters)


def _passes(op: Op) -> bool:
    return op.kind in _NEVER_NEGATIVE
