"""An ONNX file, read and checked: one float32 input, one output, operations everyone knows, and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, inliner, numpy_helper

from layerdiff.compare.trace import Array
from layerdiff.compare.trace_stored import refuse
from layerdiff.errors import InputError

__all__ = ["MOST_BYTES", "check_fits", "constants_of", "input_name", "opset_of", "read_onnx", "some_shape"]

MOST_BYTES = (1 << 31) - 1
"""The most that a message of protobuf, and so a model handed to onnxruntime, can hold."""

_CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_RANDOM = frozenset({"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
                     "Multinomial"})  # fmt: skip
_SHORT = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2})


def read_onnx(path: Path) -> ModelProto:
    """The model in a file, its functions written out, its external data loaded.

    Raises:
        InputError: no such file, not a model or cut short, too large, external data that is missing or lies outside the
            file's folder, several inputs or outputs, an input that is not float32, half precision, control flow,
            operations outside ONNX's own domain or at random, or an opset that is too new.
    """
    model = _loaded(path)
    _refuse_foreign(path, model)
    if model.functions:
        model = inliner.inline_local_functions(model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise InputError(f"{path}: not a valid model, got {_line(error)}") from None
    _refuse_graph(path, model)
    return model


def _loaded(path: Path) -> ModelProto:
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected an ONNX model")
    size = path.stat().st_size
    try:
        if size > MOST_BYTES:
            raise InputError(f"{path}: too large, got {size:,} bytes, expected at most {MOST_BYTES:,}")
        model = onnx.load(path, load_external_data=False)
        size += sum(_external(tensor) for tensor in model.graph.initializer)
        if size > MOST_BYTES:
            raise InputError(f"{path}: too large, got {size:,} bytes with its data, expected at most {MOST_BYTES:,}")
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
    except DecodeError as error:
        raise InputError(f"{path}: not an ONNX model, or cut short, got {_line(error)}") from None
    except (onnx.checker.ValidationError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        help = "the weights of this model lie in a file beside it: keep both in one folder"
        raise InputError(f"{path}: its external data cannot be read, got {_line(error)}", help=help) from None
    if not model.graph.node:
        raise InputError(f"{path}: not an ONNX model, got a file without operations")
    return model


def _external(tensor: TensorProto) -> int:
    lengths = [entry.value for entry in tensor.external_data if entry.key == "length"]
    return sum(int(length) for length in lengths if length.isdigit())


def _refuse_foreign(path: Path, model: ModelProto) -> None:
    """What must be refused before the checker speaks of it in its own words."""
    opset = opset_of(model)
    newest = _newest_opset()
    if opset > newest:
        raise InputError(
            f"{path}: its opset is too new, got {opset}, expected at most {newest}",
            help="export it with a lower opset_version, or install newer onnx and onnxruntime",
        )
    own = {(function.domain, function.name) for function in model.functions}
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    foreign = [node for node in nodes if node.domain not in {"", "ai.onnx"} and (node.domain, node.op_type) not in own]
    refuse(
        str(path),
        _each_once(f"an operation outside ONNX, got {node.op_type} of {node.domain!r}" for node in foreign),
        help="export it without custom or fused operations",
    )
    flow = [node for node in nodes if node.op_type in _CONTROL_FLOW]
    refuse(
        str(path),
        [f"control flow, got {node.op_type} {node.name!r}, expected a plain sequence of operations" for node in flow],
        help="export it for one fixed path, in eval mode and for one size of input",
    )
    chance = [node for node in nodes if node.op_type in _RANDOM]
    refuse(str(path), _each_once(f"an operation at random, got {node.op_type}" for node in chance))
    given = _dynamic_inputs(model)
    for what, names in (("input", given), ("output", [value.name for value in model.graph.output])):
        if len(names) != 1:
            raise InputError(f"{path}: expected one {what}, got {len(names)}: {', '.join(names) or 'none'}")


def _each_once(problems: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(problems))


def _refuse_graph(path: Path, model: ModelProto) -> None:
    short = [tensor.name for tensor in model.graph.initializer if tensor.data_type in _SHORT]
    value = next(value for value in model.graph.input if value.name == input_name(model))
    kind = value.type.tensor_type.elem_type
    if kind in _SHORT or short:
        what = ", ".join(short[:3]) or value.name
        raise InputError(
            f"{path}: in half precision, got {len(short)} such tensors, first of all {what}, expected float32",
            help="export it in float32: in half precision rounding hides what is to be found",
        )
    if kind != TensorProto.FLOAT:
        got = TensorProto.DataType.Name(kind).lower()
        raise InputError(f"{path}: its input {value.name!r} has the wrong type, got {got}, expected float32")


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operations that the model uses."""
    return max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=0)


@functools.cache
def _newest_opset() -> int:
    """The newest that both packages know; onnxruntime is behind onnx, and says so only when asked to load one."""
    newest = onnx.defs.onnx_opset_version()
    while newest > 1 and not _runs(newest):
        newest -= 1
    return newest


def _runs(opset: int) -> bool:
    value = [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:
        return False
    return True


def input_name(model: ModelProto) -> str:
    """The name of the network's one input."""
    return _dynamic_inputs(model)[0]


def _dynamic_inputs(model: ModelProto) -> list[str]:
    # Old files list their weights among the inputs.
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in weights]


def check_fits(path: Path, model: ModelProto, x: Array) -> None:
    """Refuse an input that the model was not exported for.

    Raises:
        InputError: another rank, batch or size than the model fixes.
    """
    name, fixed = input_name(model), _fixed_sizes(model)
    if fixed is None:
        return
    if len(fixed) == x.ndim and all(want in {None, have} for want, have in zip(fixed, x.shape, strict=True)):
        return
    wish = "(" + ", ".join("any" if size is None else str(size) for size in fixed) + ")"
    help = "export it with dynamic axes, or compare on an input of the size it was exported for"
    if len(fixed) == 4 and fixed[3] == x.shape[1] and fixed[1] != x.shape[1]:
        help = "it takes (n, h, w, c): export it for (n, c, h, w)"
    raise InputError(f"{path}: its input {name!r} is of a fixed shape, got {x.shape}, expected {wish}", help=help)


def some_shape(model: ModelProto) -> tuple[int, ...]:
    """A shape (n, c, h, w) that the model takes: what it fixes, and else one small picture."""
    usual = (1, 3, 64, 64)
    fixed = _fixed_sizes(model)
    if fixed is None or len(fixed) != len(usual):
        return usual
    return tuple(default if size is None else size for size, default in zip(fixed, usual, strict=True))


def _fixed_sizes(model: ModelProto) -> list[int | None] | None:
    """The size of each axis of the input, None where any will do; None for an input of unknown rank."""
    name = input_name(model)
    value = next(value for value in model.graph.input if value.name == name)
    if not value.type.tensor_type.HasField("shape"):
        return None
    return [size.dim_value if size.HasField("dim_value") else None for size in value.type.tensor_type.shape.dim]


def constants_of(model: ModelProto) -> dict[str, Array]:
    """The model's weights and other constants by name."""
    # Copies: onnx gives some that may not be written to, which torch warns of.
    return {tensor.name: np.array(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer}


def _line(error: Exception) -> str:
    return (str(error).splitlines() or ["no message"])[0]
