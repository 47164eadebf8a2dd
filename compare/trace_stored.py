"""Arrays that lie in a file and are not loaded yet: what their headers say, and whether that may be believed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from numpy.lib import format as npy

from layerdiff.compare.trace import Array
from layerdiff.errors import InputError

__all__ = ["MOST_BYTES", "Container", "Stored", "read_npy", "refuse", "refuse_names", "refuse_size", "stored_npy"]

MOST_BYTES = 16 << 30
"""A trace that declares more than this is not loaded: a small compressed file can declare any size."""

_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class Stored:
    """One array in a file, by what its header says.

    Attributes:
        shape: as stored.
        dtype: by NumPy's name, or the file's own name for one that NumPy does not have.
        size: in bytes.
        load: reads it.
    """

    shape: tuple[int, ...]
    dtype: str
    size: int
    load: Callable[[], Array] = field(repr=False)


@dataclass(frozen=True)
class Container:
    """What a file or a folder of arrays holds: the arrays by their stored names, and its manifest's text, if any."""

    arrays: Mapping[str, Stored]
    manifest: str | None


def refuse(place: str, problems: Sequence[str], *, help: str | None = None) -> None:
    """Raise if there are problems: the first in the message, all of them as notes where there are several.

    Raises:
        InputError: there are.
    """
    if not problems:
        return
    if len(problems) == 1:
        raise InputError(f"{place}: {problems[0]}", help=help)
    first = f"{place}: {problems[0]}, and {len(problems) - 1} more like it"
    raise InputError(first, notes=problems, help=help)


def refuse_names(path: Path, names: Iterable[str]) -> None:
    """Refuse names that stand twice, or that would lead out of where they lie if they were taken for paths.

    Raises:
        InputError: some do.
    """
    names = list(names)
    twice = sorted({name for name in names if names.count(name) > 1})
    refuse(str(path), [f"an array stands in it twice, got {name!r} {names.count(name)} times" for name in twice])
    bad = [name for name in names if _leads_out(name)]
    refuse(str(path), [f"not a name for an array, got {name!r}, expected one like layer1.0.conv1" for name in bad])


def _leads_out(name: str) -> bool:
    parts = name.split("/")
    return "\\" in name or "\0" in name or bool(re.match(r"[A-Za-z]:/", name)) or not {"", ".", ".."}.isdisjoint(parts)


def refuse_size(path: Path, arrays: Mapping[str, Stored]) -> None:
    """Refuse what declares more than `MOST_BYTES` in all.

    Raises:
        InputError: it does.
    """
    total = sum(stored.size for stored in arrays.values())
    if total > MOST_BYTES:
        largest = max(arrays, key=lambda name: arrays[name].size)
        raise InputError(
            f"{path}: too large, its arrays declare {total:,} bytes, expected at most {MOST_BYTES:,}",
            notes=[f"the largest is {largest}, of shape {arrays[largest].shape}"],
            help="record fewer layers, or a smaller batch or picture",
        )


def stored_npy(place: str, file: IO[bytes], size: int, load: Callable[[], Array]) -> Stored:
    """What the header of an array in NumPy's format says; nothing is loaded.

    Args:
        place: for the message.
        file: at the array's beginning.
        size: how many bytes there are.
        load: how to load it later.

    Raises:
        InputError: no such header, an array of Python objects, or not as many bytes as its shape needs.
    """
    try:
        version = npy.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"a header of version {version[0]}.{version[1]}")
        shape, _, dtype = _READERS[version](file)
        held = size - file.tell()
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        raise InputError(f"{place}: not an array in NumPy's format, got {_line(error)}") from None
    if dtype.hasobject:
        raise InputError(
            f"{place}: an array of Python objects, which is never loaded: that could run code; expected numbers",
            help="save it as np.asarray(value, dtype=np.float32)",
        )
    needed = math.prod(shape) * dtype.itemsize
    if held != needed or min(shape, default=0) < 0:
        raise InputError(f"{place}: cut short or spoilt, got {held:,} bytes, expected {needed:,} for shape {shape}")
    return Stored(shape, dtype.name, needed, load)


def read_npy(place: str, file: IO[bytes]) -> Array:
    """The array in NumPy's format that `file` holds; never one of Python objects.

    Raises:
        InputError: it cannot be read.
    """
    try:
        array: Array = npy.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{place}: cannot be read, got {_line(error)}") from None
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or ["no data"])[0]
