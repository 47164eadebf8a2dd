"""A `.safetensors` file as a container of arrays; its format has no code and no compression to be careful with."""

from __future__ import annotations

import math
from pathlib import Path

from safetensors import SafetensorError, safe_open

from layerdiff.compare.trace import Array
from layerdiff.compare.trace_stored import Container, Stored, refuse_names

__all__ = ["is_own", "open_safetensors"]

from layerdiff.errors import InputError

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool",
           "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8"}  # fmt: skip
_BYTES = {"float64": 8, "float32": 4}


def is_own(path: Path) -> bool:
    """Whether the file is one that `saved.write_trace` wrote.

    Raises:
        InputError: it cannot be read.
    """
    return "layerdiff" in _metadata(path)


def open_safetensors(path: Path) -> Container:
    """What a `.safetensors` file holds; its manifest is the entry `manifest` of its metadata.

    Raises:
        InputError: it cannot be read, or a tensor has a name that is none.
    """
    text = _metadata(path).get("manifest")
    with safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        refuse_names(path, names)
        arrays = {name: _stored(path, name, file.get_slice(name)) for name in names}
    return Container(arrays, text)


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file, got {error}") from None


def _stored(path: Path, name: str, header: object) -> Stored:
    shape = tuple(header.get_shape())  # type: ignore[attr-defined]
    own = header.get_dtype()  # type: ignore[attr-defined]
    dtype = _DTYPES.get(own, own)
    return Stored(shape, dtype, math.prod(shape) * _BYTES.get(dtype, 1), lambda: _load(path, name))


def _load(path: Path, name: str) -> Array:
    with safe_open(path, framework="numpy") as file:
        array: Array = file.get_tensor(name)
    return array
