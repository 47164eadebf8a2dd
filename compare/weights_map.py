"""The file that says where each of the expected network's tensors goes in a candidate: to be edited and reused."""

from __future__ import annotations

from pathlib import Path

import msgspec

from layerdiff.compare.layouts import name_of
from layerdiff.compare.saved import write_file
from layerdiff.compare.transfer import Carried, Transfer
from layerdiff.errors import InputError

__all__ = ["map_to_json", "read_map", "write_map"]

_FORMAT = "layerdiff weights map 1"


class _Tensor(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    expected: str
    actual: str
    axes: tuple[int, ...] | None = None
    layout: str | None = None
    reason: str = ""


class _Map(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    tensors: list[_Tensor]
    zero: list[str] = []
    unplaced: list[str] = []
    unfilled: list[str] = []
    unused: list[str] = []
    suspicions: list[str] = []


def map_to_json(transfer: Transfer) -> bytes:
    """The transfer as text: JSON with one line for each tensor.

    `tensors` says what goes where: `expected` and `actual` are names in the two state dicts, and `axes` the order of
    the expected tensor's axes in the candidate, where it is not the same (`layout` is its name, for the reader). `zero`
    are biases set to zero. `unplaced`, `unfilled`, `unused` and `suspicions` are for the reader; nothing reads them.
    """
    tensors = [
        _Tensor(one.expected, one.actual, one.axes, None if one.axes is None else name_of(one.axes), one.reason)
        for one in transfer.carried
    ]
    lines = ",\n".join("    " + msgspec.json.encode(tensor).decode() for tensor in tensors)
    rest = {
        "zero": transfer.zeroed,
        "unplaced": transfer.unplaced,
        "unfilled": transfer.unfilled,
        "unused": transfer.unused,
        "suspicions": transfer.suspicions,
    }
    tail = "".join(f',\n  "{name}": {msgspec.json.encode(list(values)).decode()}' for name, values in rest.items())
    return f'{{\n  "format": "{_FORMAT}",\n  "tensors": [\n{lines}\n  ]{tail}\n}}\n'.encode()


def write_map(transfer: Transfer, path: Path) -> None:
    """Write the transfer as `map_to_json` gives it.

    Raises:
        InputError: the file cannot be written.
    """
    write_file(path, map_to_json(transfer))


def read_map(path: Path) -> Transfer:
    """Read a transfer.

    Raises:
        InputError: no such file, not such a file, or a tensor has two places or two sources.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected one written by `layerdiff weights map`")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Map)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a weights map, got {error}") from None
    if found.format != _FORMAT:
        raise InputError(f"{path}: not a weights map, got format {found.format!r}, expected {_FORMAT!r}")
    twice = [
        *_twice("expected", [one.expected for one in found.tensors]),
        *_twice("actual", [*(one.actual for one in found.tensors), *found.zero]),
    ]
    if twice:
        raise InputError(f"{path}: {twice[0]}, expected once", notes=twice[1:])
    carried = tuple(Carried(one.expected, one.actual, one.axes, one.reason or "the map") for one in found.tensors)
    return Transfer(carried, tuple(found.zero))


def _twice(what: str, names: list[str]) -> list[str]:
    return [f"{what}: {name!r} stands there {names.count(name)} times" for name in dict.fromkeys(names)
            if names.count(name) > 1]  # fmt: skip
