"""Which cause a relation between two tensors is of, and operations with other parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from layerdiff.compare.hypotheses.kit import Step, batch_norm, chain, conv2d, linear
from layerdiff.compare.hypotheses.weights.relations import Relation
from layerdiff.compare.trace import Array, Op

__all__ = ["Cause", "cause_of", "not_loaded", "with_parameters"]

_OFTEN_RENAMED = ("downsample.0", "downsample.1", "fc")
"""Layers that other networks call otherwise (shortcut, linear), so that they are left out when names are matched."""

_LOAD = "load the reference's weights, and look at what load_state_dict reports as missing and unexpected"


@dataclass(frozen=True)
class Cause:
    """The words for a cause.

    Attributes:
        code: of the cause.
        title: without the layer's name: it is the same for all layers that have it.
        change: what to do about it.
    """

    code: str
    title: str
    change: str


def not_loaded(layer: str) -> tuple[Cause, ...]:
    """Parameters that are at their initial values.

    On layers that are often renamed both causes are given: which it is depends on whether others were loaded.
    """
    nothing = Cause("G1", "the parameters are at their initial values: nothing was loaded", _LOAD)
    if not layer.endswith(_OFTEN_RENAMED):
        return (nothing,)
    renamed = Cause(
        "G2", "the parameters are at their initial values: their names were not found in what was loaded",
        "rename the keys (downsample or shortcut, fc or linear) before loading",
    )  # fmt: skip
    return renamed, nothing


def cause_of(one: Relation, role: str, op: Op) -> Cause:
    """The cause of a weight's or a bias' relation to the expected one, of a convolution or a linear layer."""
    matrix = op.kind == "linear"
    what = f"the {role}" if role != "weight" else "the weight" if matrix else "the kernel"
    match one.kind:
        case "flipped":
            return _flipped(one, op)
        case "axes permuted":
            return _permuted(one, op)
        case "reshaped":
            return Cause("B4", f"{what} is reshaped where its axes should be permuted: {one.text}",
                         "permute the axes (transpose, permute), do not reshape")  # fmt: skip
        case "rows permuted" if matrix:
            return Cause("I8", "the classes are in another order", "use the class order of the reference's weights")
        case "rows permuted" | "columns permuted" | "reordered":
            return Cause("G10", f"{what}'s channels are in another order: {one.text}", "keep the order of the channels")
        case "another layer":
            return Cause("G3", "the parameters are another layer's", "copy the parameters by name, not by order")
        case "scaled" | "scaled by row" | "shifted":
            return Cause("G9", f"{what} was changed: {one.text}", "load the parameters as they are")
        case "rounded":
            rounded = one.text.removeprefix("its values are those of ")
            code = "H1" if rounded == "TF32" else "H2"
            return Cause(code, f"the parameters are rounded to {rounded}", "keep the parameters in float32")
        case "few differ":
            return Cause("G11", f"a few values of {what} differ: {one.text}", "load the parameters again")
        case "close":
            return Cause("G6", "the weights are of another checkpoint, near the reference's",
                         "compare with the reference's own weights")  # fmt: skip
        case _:
            return Cause("G6", "the weights are of another checkpoint", "compare with the reference's own weights")


def _flipped(one: Relation, op: Op) -> Cause:
    if one.axes == (1,) and op.parameters["weight"].shape[1] == 3:
        return Cause("I1", "the input channels of the kernel are in reverse order: it takes BGR",
                     "give it RGB, or reverse the kernel's input channels")  # fmt: skip
    if one.axes in {(0,), (1,)}:
        return Cause("G10", f"the channels are in another order: {one.text}", "keep the order of the channels")
    return Cause("B3", one.text, "convolution in these networks is cross-correlation: do not flip the kernels")


def _permuted(one: Relation, op: Op) -> Cause:
    if op.kind == "linear":
        return Cause("F1", "the weight is not transposed: x @ W, expected x @ W.T", "transpose the weight once")
    change = "permute the axes to (out, in, height, width)"
    if one.axes == (1, 0, 2, 3):
        return Cause("B6", "the kernel's input and output channels are swapped", change)
    if one.axes == (0, 1, 3, 2):
        return Cause("B5", "the kernel's height and width are swapped", change)
    return Cause("B5", f"the kernel's axes are in the wrong order: {one.text}", change)


def with_parameters(op: Op, parameters: Mapping[str, Array]) -> tuple[Op, ...]:
    """The model of an operation with some of its parameters exchanged.

    Args:
        op: a convolution, a linear layer or a batch norm.
        parameters: by role, of the expected shapes.
    """
    return chain(op.inputs, _step(op, {**op.parameters, **parameters}))


def _step(op: Op, parameters: Mapping[str, Array]) -> Step:
    weight, bias = parameters.get("weight"), parameters.get("bias")
    attributes = cast(Mapping[str, Any], op.attributes)
    if op.kind == "batch_norm":
        return batch_norm(
            parameters["running_mean"], parameters["running_var"], weight, bias, eps=float(attributes["eps"])
        )
    if op.kind == "linear":
        return linear(parameters["weight"], bias)
    return conv2d(
        parameters["weight"], bias, stride=attributes["stride"], padding=attributes["padding"],
        dilation=attributes["dilation"], groups=attributes["groups"],
    )  # fmt: skip
