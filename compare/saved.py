"""Traces and runs as files: a trace in one `.safetensors`, a run in one versioned JSON; read back as they were."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from layerdiff.compare.result import SCHEMA, Run
from layerdiff.compare.trace import Op, Trace
from layerdiff.errors import InputError

__all__ = ["read_run", "read_trace", "run_to_json", "write_file", "write_trace"]

_FORMAT = "layerdiff trace 1"


class _OpRecord(msgspec.Struct):
    layer: str
    path: str
    kind: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]
    shape: tuple[int, ...]
    dtype: str
    source: str | None


class _Header(msgspec.Struct):
    format: str
    network: str
    final: str
    ops: list[_OpRecord]
    floors: dict[str, float]
    metadata: dict[str, str]


def write_trace(trace: Trace, path: Path) -> None:
    """Write a trace with all its values.

    The file is a safetensors file with one tensor for each layer id, and one entry of metadata, `layerdiff`: JSON with
    `format`, `network`, `final` (the id of the output), `ops` (layer, path, kind, inputs, attributes, shape, dtype
    and source of each, in order), `floors` (the end-to-end floor by layer id) and `metadata` (text that describes the
    run).

    Raises:
        InputError: a value is lacking, or the file cannot be written.
    """
    lacking = [op.layer for op in trace.ops if op.layer not in trace.values]
    if lacking:
        raise InputError(f"{path}: cannot write a trace that lacks values, got none for {', '.join(lacking[:5])}")
    records = [_OpRecord(**{name: getattr(op, name) for name in _OpRecord.__struct_fields__}) for op in trace.ops]
    header = _Header(_FORMAT, trace.network, trace.final, records, dict(trace.floors), dict(trace.metadata))
    tensors = {layer: np.ascontiguousarray(value) for layer, value in trace.values.items()}
    # One entry: safetensors writes several in an order that changes from run to run.
    write_file(path, save(tensors, metadata={"layerdiff": msgspec.json.encode(header).decode()}))


def read_trace(path: Path) -> Trace:
    """Read a trace; its operations cannot be run again.

    Raises:
        InputError: no such file, not a trace, cut short, or its tensors are not those it lists.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a trace written by `layerdiff capture`")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("layerdiff", "{}")
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file, got {error}") from None
    try:
        found = msgspec.json.decode(text, type=dict[str, Any]).get("format")
        if found != _FORMAT:
            raise InputError(f"{path}: not a trace, got format {found!r}, expected {_FORMAT!r}")
        header = msgspec.json.decode(text, type=_Header)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: its metadata cannot be read, got {error}") from None
    wrong = [op.layer for op in header.ops if op.layer not in values or values[op.layer].shape != op.shape]
    if wrong or not header.ops:
        names = ", ".join(wrong[:5]) or "at least one"
        raise InputError(f"{path}: its tensors are not those it lists, expected {names}")
    ops = tuple(
        Op(parameters={}, run=None, **{name: getattr(record, name) for name in _OpRecord.__struct_fields__})
        for record in header.ops
    )
    return Trace(header.network, ops, values, header.final, header.floors, header.metadata)


def run_to_json(run: Run) -> bytes:
    """The run as JSON; never NaN or Infinity, which are counted instead (`Measure.nonfinite_actual`)."""
    return msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n"


def read_run(path: Path) -> Run:
    """Read a run that `run_to_json` wrote.

    Raises:
        InputError: no such file, not a run, or of another schema.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a run written with --output")
    try:
        schema = msgspec.json.decode(path.read_bytes(), type=dict[str, Any]).get("schema")
        if schema != SCHEMA:
            raise InputError(f"{path}: wrong schema, got {schema!r}, expected {SCHEMA}")
        return replace(msgspec.json.decode(path.read_bytes(), type=Run))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a run, got {error}") from None


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        InputError: it cannot be written; nothing half-written is left.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path}: cannot be written, got {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"{path}: cannot be written, got {error.strerror}") from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
