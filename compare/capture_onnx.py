"""Capture of an ONNX file: run once with every value in between, and kept as operations that can be run again."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from layerdiff.compare.capture import check_input
from layerdiff.compare.trace import Array, Op, Trace, digest
from layerdiff.errors import InputError

__all__ = ["capture_onnx", "onnx_operations"]


def capture_onnx(
    path: Path, x: Array, *, name: str | None = None, keep: bool = False, metadata: Mapping[str, str] | None = None
) -> Trace:
    """The trace of one forward pass of the network in an ONNX file.

    onnxruntime runs it with nothing fused and every intermediate value exposed, on one thread. Each operation can be
    run again by itself: in float32 by onnxruntime, in float64 likewise, and by ONNX's reference evaluator where
    onnxruntime lacks it. What does not depend on the values of the input (weights, shapes) is folded away. Layer ids
    are the names the weights had before the export, as far as they are left.

    Args:
        path: of the `.onnx` file; its external data lies beside it.
        x: (n, c, h, w) float32, finite.
        name: what the network is, in words; the file's name by default.
        keep: keep every value.
        metadata: text that travels with the trace.

    Raises:
        InputError: onnx and onnxruntime are not installed; the file cannot be used (see `onnx_file.read_onnx`); it
            does not take `x`, or fails on it; nothing in it depends on its input.
    """
    check_input(x)
    _require_packages(path)
    # Only here: both are extras, and nobody else needs them.
    from layerdiff.compare.onnx_file import check_fits, constants_of, input_name, opset_of, read_onnx
    from layerdiff.compare.onnx_ops import graph_of, ops_of
    from layerdiff.compare.onnx_run import Piece, run_all

    x = np.array(x, order="C")
    model = read_onnx(path)
    check_fits(path, model, x)
    every = tuple(name for node in model.graph.node for name in node.output if name)
    weights = constants_of(model)
    whole = Piece(tuple(model.graph.node), (input_name(model),), every, weights, opset_of(model))
    try:
        values = run_all(whole, x)
    except Exception as error:
        # onnxruntime raises exceptions of its own that have nothing in common but this.
        reason = (str(error).splitlines() or ["no message"])[0]
        raise InputError(f"{path}: does not run on the input, got {reason}") from None
    short = [value for value in values if values[value].dtype.itemsize < 4 and values[value].dtype.kind not in "biu"]
    if short:
        raise InputError(f"{path}: in half precision, got {len(short)} such values, the first {short[0]!r}")
    graph = graph_of(model, weights, {**values, input_name(model): x})
    ops, ids = ops_of(graph)
    if not ops:
        raise InputError(f"{path}: nothing in it depends on its input, expected at least one operation")
    returned = values.get(graph.output)
    return Trace(
        network=name or path.name,
        ops=tuple(ops),
        values={ids[value]: values[value] for value in values if value in ids} if keep else {},
        final=ops[-1].layer,
        returned=returned,
        returned_by=ids.get(graph.output),
        input_digest=digest(x),
        metadata=dict(metadata or {}),
    )


def onnx_operations(path: Path) -> tuple[Op, ...]:
    """The operations of the network in an ONNX file, on an empty input of a size that it takes.

    For what must be known before there is an input: which network it is like.

    Args:
        path: of the `.onnx` file.

    Raises:
        InputError: see `capture_onnx`.
    """
    _require_packages(path)
    from layerdiff.compare.onnx_file import read_onnx, some_shape

    return capture_onnx(path, np.zeros(some_shape(read_onnx(path)), np.float32)).ops


def _require_packages(path: Path) -> None:
    lacking = [package for package in ("onnx", "onnxruntime") if find_spec(package) is None]
    if lacking:
        raise InputError(
            f"{path}: an ONNX file needs {' and '.join(lacking)}, not installed", help="pip install 'layerdiff[onnx]'"
        )
