"""Several operations differentiated as one: forwards in their order, then backwards by the chain rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.playback import play
from layerdiff.compare.trace import Array, Op

__all__ = ["Chained", "NoGradientError", "chained", "swept"]


class NoGradientError(Exception):
    """An operation cannot be differentiated, or raises when it is; says why in a line."""


@dataclass(frozen=True)
class Chained:
    """What came of going back through some operations.

    Attributes:
        output: of the last of them.
        inputs: the gradients of what they take from outside, by id; what none flows to is left out.
        parameters: those of the network's own tensors, by name in the state dict, likewise.
    """

    output: Array = field(repr=False)
    inputs: Mapping[str, Array] = field(repr=False)
    parameters: Mapping[str, Array] = field(repr=False)


def chained(ops: Sequence[Op], given: Mapping[str, Array], covector: Array) -> Chained:
    """The gradients of `sum(covector * output)` for what `ops` take from outside and for their parameters.

    Args:
        ops: in the order they run; the last one's output is the output.
        given: the value of everything they take from outside, by id.
        covector: shape and dtype of the output.

    Raises:
        NoGradientError: one of them raises, cannot be differentiated, or gives another shape or dtype than `covector`.
    """
    try:
        played, _ = play(ops, given)
    except Exception as error:
        raise NoGradientError(f"forward: {_first_line(error)}") from error
    output = played[-1].output
    if output.shape != covector.shape or output.dtype != covector.dtype:
        raise NoGradientError(f"gives {output.dtype}{output.shape}, expected {covector.dtype}{covector.shape}")
    values = {**given, **{one.op.layer: one.output for one in played}}
    gradients, parameters = swept(ops, values, covector)
    inputs = {layer: gradients[layer] for layer in outside_inputs(ops) if layer in gradients}
    return Chained(output, inputs, parameters)


def swept(ops: Sequence[Op], values: Mapping[str, Array], covector: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """The gradients of every value and of every parameter, from the last of `ops` back to the first.

    Args:
        ops: in the order they run.
        values: of everything they take, by id.
        covector: of the last one's output.

    Returns:
        Gradients by layer id, and by name in the state dict; what none flows to is left out.

    Raises:
        NoGradientError: an operation cannot be differentiated.
    """
    gradients: dict[str, Array] = {ops[-1].layer: covector}
    parameters: dict[str, Array] = {}
    known = {op.layer for op in ops}
    inside: set[str] = set()
    for op in reversed(ops):
        gradient = gradients.get(op.layer)
        if gradient is None or op.layer in inside:
            continue
        if not op.graded:
            continue
        own = op.own_backward
        if own is not None and (op.layer != own.layers[-1] or not known >= set(own.layers)):
            raise NoGradientError(
                f"{op.layer} ({op.kind}): {own.name} goes back through {', '.join(own.layers)} at once"
            )
        inputs, pull = (op.inputs, op.pull) if own is None else (own.inputs, own.pull)
        if pull is None:
            raise NoGradientError(f"{op.layer} ({op.kind}) has no backward")
        inside |= set(own.layers) if own is not None else set()
        try:
            with np.errstate(all="ignore"):
                pulled = pull([values[layer] for layer in inputs], gradient)
        except Exception as error:
            raise NoGradientError(f"{op.layer} ({op.kind}): {_first_line(error)}") from error
        for layer, part in zip(inputs, pulled.inputs, strict=True):
            _add(gradients, layer, part)
        for name, part in pulled.parameters.items():
            _add(parameters, name, part)
    return gradients, parameters


def _add(sums: dict[str, Array], name: str, part: Array | None) -> None:
    if part is not None:
        sums[name] = sums[name] + part if name in sums else part


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
