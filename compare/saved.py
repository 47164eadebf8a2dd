"""Traces and runs as files: a trace in one `.safetensors`, a run in one versioned JSON; read back as they were."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from layerdiff.compare.harmless import harmless_json, without_surrogates
from layerdiff.compare.result import SCHEMA, Measure, Report, Run
from layerdiff.compare.trace import INPUT, Array, Op, Trace
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
    until: str | None
    input_digest: str
    ops: list[_OpRecord]
    floors: dict[str, float | None]
    metadata: dict[str, str]


def write_trace(trace: Trace, path: Path) -> None:
    """Write a trace with all its values.

    The file is a safetensors file with one tensor for each layer id, and one entry of metadata, `layerdiff`: JSON with
    `format`, `network`, `final` (the id of the last operation), `until` (the part after which it was stopped, or
    null), `input_digest`, `ops` (layer, path, kind, inputs, attributes, shape, dtype and source of each, in order),
    `floors` (the end-to-end floor by layer id) and `metadata` (text that describes the run).

    Raises:
        InputError: a value is lacking, or the file cannot be written.
    """
    lacking = [op.layer for op in trace.ops if op.layer not in trace.values]
    if lacking:
        raise InputError(f"{path}: cannot write a trace that lacks values, got none for {', '.join(lacking[:5])}")
    records = [_OpRecord(**{name: getattr(op, name) for name in _OpRecord.__struct_fields__}) for op in trace.ops]
    floors = {layer: floor if math.isfinite(floor) else None for layer, floor in trace.floors.items()}
    header = _Header(
        _FORMAT, trace.network, trace.final, trace.until, trace.input_digest, records, floors, dict(trace.metadata)
    )
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
    _check_header(path, header, values)
    ops = tuple(
        Op(parameters={}, run=None, **{name: getattr(record, name) for name in _OpRecord.__struct_fields__})
        for record in header.ops
    )
    return Trace(
        network=header.network,
        ops=ops,
        values=values,
        final=header.final,
        until=header.until,
        input_digest=header.input_digest,
        floors={layer: floor for layer, floor in header.floors.items() if floor is not None},
        metadata=header.metadata,
    )


def _check_header(path: Path, header: _Header, values: Mapping[str, Array]) -> None:
    """Refuse a trace that is at odds with itself.

    Raises:
        InputError: it is.
    """
    known, wrong = {INPUT}, []
    for op in header.ops:
        value = values.get(op.layer)
        if value is None or value.shape != op.shape or value.size == 0 or not set(op.inputs) <= known:
            wrong.append(op.layer)
        known.add(op.layer)
    if wrong or not header.ops:
        names = ", ".join(wrong[:5]) or "at least one"
        raise InputError(f"{path}: its tensors are not those it lists, expected {names}")
    below = [layer for layer, floor in header.floors.items() if floor is not None and floor < 0]
    if below:
        raise InputError(f"{path}: a floor is below zero, got {header.floors[below[0]]} for {below[0]}")


def run_to_json(run: Run) -> bytes:
    r"""The run as JSON; never NaN or Infinity, which are counted instead (`Measure.nonfinite_actual`).

    It can be printed as it is: what somebody wrote stands in it spelled out (`\u001b`), and is read back as it was.
    """
    content = msgspec.json.format(msgspec.json.encode(without_surrogates(run)), indent=1)
    return (harmless_json(content.decode()) + "\n").encode()


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
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not a run, got {error}") from None
    for report in run.reports:
        _check_report(path, report)
    return run


def _check_report(path: Path, report: Report) -> None:
    """Refuse a report whose figures contradict each other.

    Raises:
        InputError: they do; names the first layer.
    """
    names = [layer.layer for layer in report.layers]
    for index, layer in enumerate(report.layers):
        whole = all(_is_whole(measure) for measure in layer.measures)
        whole = whole and set(layer.together) <= set(names) - {layer.layer}
        if layer.index != index or names.count(layer.layer) > 1 or not whole:
            raise InputError(f"{path}: its figures contradict each other, first at {layer.layer}")
    if report.input is not None and report.input.measure is not None and not _is_whole(report.input.measure):
        raise InputError(f"{path}: its figures contradict each other, at the input")


def _is_whole(m: Measure) -> bool:
    return (
        m.size > 0
        and 0 <= m.over <= m.size
        and (m.allowed is not None or (m.ratio, m.over, m.max_abs) == (0, 0, 0))
        and (m.ratio is None or (m.ratio >= 0 and (m.over > 0 or m.ratio <= 1) and (m.over == 0 or m.ratio >= 1)))
    )


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; a link is followed, and a file that is replaced keeps its mode.

    Raises:
        InputError: it cannot be written; nothing half-written is left.
    """
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
        if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
            raise InputError(f"{path}: cannot be written, expected a file that may be written")
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise InputError(f"{path}: cannot be written, got {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"{path}: cannot be written, got {error.strerror}") from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
