"""Running ONNX operations: one after another or all at once, in float32 by onnxruntime, in float64 by what there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from layerdiff.compare.trace import Array

__all__ = ["Piece", "decimal", "float_attributes", "run_all", "runner"]

_IR_VERSION = 10
"""Of the models that are made here: old enough for every onnxruntime, whatever onnx itself would write."""

Engine: TypeAlias = Callable[[Sequence[Array]], list[Array]]


@dataclass(frozen=True)
class Piece:
    """A few nodes of a graph that are run as one.

    Attributes:
        nodes: in order.
        takes: names of the values that they are given, each once.
        gives: names of the values that are wanted of them.
        constants: the values of all other names that they take.
        opset: the version of ONNX's operations.
    """

    nodes: tuple[NodeProto, ...] = field(repr=False)
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    constants: Mapping[str, Array] = field(repr=False)
    opset: int


def runner(piece: Piece, order: Sequence[int]) -> Callable[..., Array]:
    """A function that runs a piece in the precision of what it is given, and gives its first value.

    Args:
        piece: built into a session when it is first run in a precision, and then kept.
        order: for each argument the place in `piece.takes` of what it stands for.
    """
    engines: dict[tuple[np.dtype[Any], ...], Engine] = {}

    def run(*inputs: Array) -> Array:
        given = [inputs[order.index(place)] for place in range(len(piece.takes))]
        types = tuple(array.dtype for array in given)
        if types not in engines:
            engines[types] = _engine(piece, types)
        return engines[types](given)[0]

    return run


def run_all(piece: Piece, x: Array) -> dict[str, Array]:
    """Every value of a graph, by name; node by node where onnxruntime lacks one of its operations.

    Raises:
        Exception: whatever onnxruntime or the reference evaluator raises.
    """
    try:
        found = _onnxruntime(piece, (x.dtype,))([x])
    except _not_implemented():
        return _stepwise(piece, x)
    return dict(zip(piece.gives, found, strict=True))


def _stepwise(piece: Piece, x: Array) -> dict[str, Array]:
    values = {**piece.constants, piece.takes[0]: x}
    for node in piece.nodes:
        takes = tuple(dict.fromkeys(name for name in node.input if name and name not in piece.constants))
        gives = tuple(name for name in node.output if name)
        constants = {name: piece.constants[name] for name in node.input if name in piece.constants}
        alone = Piece((node,), takes, gives, constants, piece.opset)
        given = [values[name] for name in takes]
        values.update(zip(gives, _engine(alone, tuple(array.dtype for array in given))(given), strict=True))
    return {name: values[name] for name in piece.gives}


def _engine(piece: Piece, types: Sequence[np.dtype[Any]]) -> Engine:
    """Onnxruntime where it has the operations in this precision and can be told all their numbers."""
    double = np.dtype(np.float64) in types
    if double and any(decimal(v) != v for node in piece.nodes for v in float_attributes(node, piece.opset).values()):
        return _reference(piece, types)
    try:
        return _onnxruntime(piece, types)
    except _not_implemented():
        return _reference(piece, types)


def _not_implemented() -> type[Exception]:
    error: type[Exception] = onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented
    return error


def _onnxruntime(piece: Piece, types: Sequence[np.dtype[Any]]) -> Engine:
    options = onnxruntime.SessionOptions()
    # Nothing may be fused or rearranged, or the values in between would not be those of the graph; and one thread adds
    # in the same order on every machine.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    model = _model(piece, types).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(inputs: Sequence[Array]) -> list[Array]:
        feed = dict(zip(piece.takes, (np.ascontiguousarray(array) for array in inputs), strict=True))
        return [np.asarray(array) for array in session.run(list(piece.gives), feed)]

    return run


def _reference(piece: Piece, types: Sequence[np.dtype[Any]]) -> Engine:
    """ONNX's own evaluator in Python, with attributes as they were meant, not as float32 holds them."""
    evaluator = ReferenceEvaluator(_model(piece, types))
    for node, implementation in zip(piece.nodes, evaluator.rt_nodes_, strict=True):
        for name, value in float_attributes(node, piece.opset).items():
            setattr(implementation, name, decimal(value))

    def run(inputs: Sequence[Array]) -> list[Array]:
        with np.errstate(all="ignore"):
            found = evaluator.run(list(piece.gives), dict(zip(piece.takes, inputs, strict=True)))
        return [np.asarray(array) for array in found]

    return run


def _model(piece: Piece, types: Sequence[np.dtype[Any]]) -> onnx.ModelProto:
    double = np.dtype(np.float64) in types
    constants = {
        name: array.astype(np.float64) if double and array.dtype == np.float32 else array
        for name, array in piece.constants.items()
    }
    graph = onnx.helper.make_graph(
        [_copy(node, double) for node in piece.nodes],
        "piece",
        [
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(dtype), None)
            for name, dtype in zip(piece.takes, types, strict=True)
        ],
        [onnx.helper.make_empty_tensor_value_info(name) for name in piece.gives],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = onnx.helper.make_opsetid("", piece.opset)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)


def _copy(node: NodeProto, double: bool) -> NodeProto:
    """A node without its name, which onnxruntime wants to be unique and nobody needs.

    In float64 a cast to float32 is one to float64: to what the network computes in, not to what it is stored in.
    """
    other = NodeProto()
    other.CopyFrom(node)
    other.name = ""
    for attribute in other.attribute:
        if double and node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.DOUBLE
    return other


def float_attributes(node: NodeProto, opset: int) -> dict[str, float]:
    """The attributes of a node that are single numbers in float32, given or by default."""
    schema = onnx.defs.get_schema(node.op_type, opset)
    found = {
        name: float(onnx.helper.get_attribute_value(attribute.default_value))
        for name, attribute in schema.attributes.items()
        if attribute.type == onnx.defs.OpSchema.AttrType.FLOAT and attribute.default_value.name
    }
    given = {a.name: float(a.f) for a in node.attribute if a.type == onnx.AttributeProto.FLOAT}
    return found | given


def decimal(value: float) -> float:
    """The shortest decimal number that float32 holds as `value`: 1e-05 for 9.999999747378752e-06.

    A file keeps attributes in float32 alone. Whoever wrote 1e-5 meant 1e-5: in float32 that is the same number, in
    float64, which asks about the logic, it is the one that was meant.
    """
    return float(str(np.float32(value)))
