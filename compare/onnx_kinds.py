"""ONNX's operations in our vocabulary: kinds by torch.nn.functional's names, attributes and parameters by torch.nn's.

Source: ONNX's operator schemas (onnx.ai/onnx/operators).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto

from layerdiff.compare.onnx_run import decimal
from layerdiff.compare.onnx_windows import windows
from layerdiff.compare.trace import Array

__all__ = ["Described", "describe"]

_KINDS = {
    "Relu": "relu", "LeakyRelu": "leaky_relu", "PRelu": "prelu", "Selu": "selu", "Elu": "elu", "Gelu": "gelu",
    "Clip": "clamp", "Sum": "add", "Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "MatMul": "matmul",
    "GlobalMaxPool": "adaptive_max_pool2d", "Concat": "cat", "Transpose": "permute", "Slice": "getitem",
    "Gather": "getitem", "Dropout": "dropout", "Identity": "identity", "Swish": "silu", "Mish": "mish",
    "HardSwish": "hardswish", "HardSigmoid": "hardsigmoid", "ReduceSum": "sum", "ReduceMax": "amax",
}  # fmt: skip


@dataclass(frozen=True)
class Described:
    """What a node is.

    Attributes:
        kind: in our vocabulary.
        attributes: by torch's names.
        parameters: weight, bias, running_mean, running_var.
        keys: for each parameter the name of the constant it is, where it is one as it stands.
    """

    kind: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    parameters: Mapping[str, Array] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Node:
    """A node with its attributes, its constants by place, and the shapes of what it takes and gives."""

    type: str
    attributes: Mapping[str, Any]
    names: Sequence[str]
    constants: Sequence[Array | None]
    shapes: Sequence[tuple[int, ...]]
    shape: tuple[int, ...]

    def constant(self, place: int) -> Array | None:
        return self.constants[place] if place < len(self.constants) else None

    def parameters(self, roles: Sequence[str]) -> tuple[dict[str, Array], dict[str, str]]:
        """The constants after the first input, each by its role, and their names."""
        found, keys = {}, {}
        for place, role in enumerate(roles, 1):
            constant = self.constant(place)
            if constant is not None:
                found[role], keys[role] = constant, self.names[place]
        return found, keys


def describe(
    node: NodeProto,
    constants: Mapping[str, Array],
    shapes: Mapping[str, tuple[int, ...]],
    shape: tuple[int, ...],
    opset: int,
) -> Described:
    """What a node is, in our vocabulary; an operation that is not in it keeps its own name in small letters.

    Args:
        node: of ONNX's own domain.
        constants: the values of those of its inputs that do not depend on the network's input.
        shapes: of all its inputs.
        shape: of its output.
        opset: the version of ONNX's operations.
    """
    schema = onnx.defs.get_schema(node.op_type, opset)
    defaults = {
        name: onnx.helper.get_attribute_value(attribute.default_value)
        for name, attribute in schema.attributes.items()
        if attribute.default_value.name
    }
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    found = _Node(
        node.op_type,
        {name: _plain(value) for name, value in (defaults | given).items()},
        node.input,
        [constants.get(name) for name in node.input],
        [shapes.get(name, ()) for name in node.input],
        shape,
    )
    return _WAYS.get(node.op_type, _other)(found)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _conv(node: _Node) -> Described:
    weight = node.constant(1)
    rank = len(node.shape) - 2
    kernel = tuple(node.attributes.get("kernel_shape") or (node.shapes[1][2:] if len(node.shapes) > 1 else ()))
    parameters, keys = node.parameters(("weight", "bias")) if weight is not None else ({}, {})
    attributes = _windows(node, kernel) | {"groups": int(node.attributes["group"])}
    return Described(f"conv{rank}d", attributes, parameters, keys)


def _batch_norm(node: _Node) -> Described:
    parameters, keys = node.parameters(("weight", "bias", "running_mean", "running_var"))
    training = bool(node.attributes.get("training_mode", 0))
    return Described("batch_norm", {"eps": node.attributes["epsilon"], "training": training}, parameters, keys)


def _pool(node: _Node) -> Described:
    attributes = _windows(node, tuple(node.attributes["kernel_shape"]))
    attributes["ceil_mode"] = bool(node.attributes.get("ceil_mode", 0))
    if node.type == "AveragePool":
        attributes["count_include_pad"] = bool(node.attributes.get("count_include_pad", 0))
        if attributes["dilation"] == (1,) * len(node.attributes["kernel_shape"]):
            del attributes["dilation"]
    name = {"MaxPool": "max_pool", "AveragePool": "avg_pool"}[node.type]
    return Described(f"{name}{len(node.shape) - 2}d", attributes)


def _windows(node: _Node, kernel: tuple[int, ...]) -> dict[str, object]:
    return windows(node.attributes, node.shapes[0][2:], kernel)


def _global_average(node: _Node) -> Described:
    rank = len(node.shape) - 2
    return Described(f"adaptive_avg_pool{rank}d", {"output_size": (1,) * rank})


def _mean(node: _Node) -> Described:
    axes = node.constant(1)
    dim = node.attributes.get("axes") if axes is None else axes.tolist()
    if not dim:
        idle = bool(node.attributes.get("noop_with_empty_axes", 0))
        dim = [] if idle else range(len(node.shapes[0]))
    return Described("mean", {"dim": tuple(dim), "keepdim": bool(node.attributes.get("keepdims", 1))})


def _gemm(node: _Node) -> Described:
    weight, bias = node.constant(1), node.constant(2)
    if weight is None or node.attributes["transA"] or (bias is not None and bias.ndim == 2 and len(bias) > 1):
        return _other(node)
    alpha, beta = np.float32(node.attributes["alpha"]), np.float32(node.attributes["beta"])
    keys = {"weight": node.names[1]} if alpha == 1 else {}
    parameters = {"weight": alpha * (weight if node.attributes["transB"] else weight.T)}
    if bias is not None:
        parameters["bias"] = np.array(np.broadcast_to(beta * bias, node.shape)[0])
        keys |= {"bias": node.names[2]} if beta == 1 else {}
    return Described("linear", {}, parameters, keys)


def _matmul(node: _Node) -> Described:
    weight = node.constant(1)
    if weight is None or weight.ndim != 2:
        return _other(node)
    return Described("linear", {}, {"weight": weight.T}, {"weight": node.names[1]})


def _flatten(node: _Node) -> Described:
    if node.attributes["axis"] == 1:
        return Described("flatten", {"start_dim": 1, "end_dim": -1})
    return Described("flatten", {"axis": node.attributes["axis"]})


def _pad(node: _Node) -> Described:
    """Torch lists the pads from the last axis to the first, before and after together."""
    pads, value, axes = node.constant(1), node.constant(2), node.constant(3)
    listed = node.attributes.get("pads") if pads is None else pads.tolist()
    if listed is None:
        return _other(node)
    rank = len(node.shape)
    places = range(rank) if axes is None else [axis % rank for axis in axes.tolist()]
    both = {axis: (listed[i], listed[i + len(places)]) for i, axis in enumerate(places)}
    first = min((axis for axis, pair in both.items() if any(pair)), default=rank)
    padding = tuple(size for axis in range(rank - 1, first - 1, -1) for size in both.get(axis, (0, 0)))
    found = {"padding": padding, "mode": node.attributes.get("mode", "constant")}
    return Described("pad", found | {"value": node.attributes.get("value", 0.0) if value is None else value.item()})


def _arithmetic(node: _Node) -> Described:
    """A sum with constants of its own for the channels is a shift by them, a product a scaling."""
    constants = [place for place, constant in enumerate(node.constants) if constant is not None]
    if len(constants) != 1 or len(node.constants) != 2 or (constants == [0] and node.type in {"Sub", "Div"}):
        return Described(_KINDS[node.type])
    if (number := node.constants[constants[0]]) is not None and number.size == 1:
        return Described(_KINDS[node.type], {"other": float(number.item())})
    role, kind = {"Add": ("bias", "shift"), "Sub": ("bias", "shift")}.get(node.type, ("weight", "scale"))
    constant = node.constants[constants[0]]
    assert constant is not None
    return Described(kind, {}, {role: constant}, {role: node.names[constants[0]]})


def _clip(node: _Node) -> Described:
    bounds = {name: node.constant(i + 1) for i, name in enumerate(("min", "max"))}
    found = {name: node.attributes.get(name) if array is None else array.item() for name, array in bounds.items()}
    return Described("relu6" if found == {"min": 0.0, "max": 6.0} else "clamp", found)


def _max(node: _Node) -> Described:
    """The larger of a value and one number is a limit from below, as torch writes `clamp(min=0)`."""
    bounds = [one for one in node.constants if one is not None]
    if len(node.constants) != 2 or len(bounds) != 1 or bounds[0].size != 1:
        return _other(node)
    return Described("clamp", {"min": float(bounds[0].item()), "max": None})


def _leaky(node: _Node) -> Described:
    return Described("leaky_relu", {"negative_slope": node.attributes["alpha"]})


def _dropout(node: _Node) -> Described:
    ratio, training = node.constant(1), node.constant(2)
    p = node.attributes.get("ratio", 0.5) if ratio is None else float(ratio)
    return Described("dropout", {"p": p, "training": training is not None and bool(training)})


def _shaped(node: _Node) -> Described:
    return Described(node.type.lower(), {"shape": node.shape})


def _cast(node: _Node) -> Described:
    # What casts is told from what does nothing by the types of what it takes and gives, when it runs.
    return Described("to")


def _other(node: _Node) -> Described:
    kind = _KINDS.get(node.type, node.type.lower())
    return Described(kind, {name: value for name, value in node.attributes.items() if not hasattr(value, "DESCRIPTOR")})


_WAYS: Mapping[str, Callable[[_Node], Described]] = {
    "Conv": _conv,
    "BatchNormalization": _batch_norm,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global_average,
    "ReduceMean": _mean,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Flatten": _flatten,
    "Reshape": _shaped,
    "Squeeze": _shaped,
    "Unsqueeze": _shaped,
    "Pad": _pad,
    "Add": _arithmetic,
    "Sub": _arithmetic,
    "Mul": _arithmetic,
    "Div": _arithmetic,
    "Clip": _clip,
    "Max": _max,
    "LeakyRelu": _leaky,
    "Dropout": _dropout,
    "Cast": _cast,
}
