"""Weight files in torch's format and in safetensors: read without running what is in them, written all or nothing."""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from numpy.typing import NDArray

from layerdiff.errors import InputError
from layerdiff.reference._folding import fold
from layerdiff.reference.weights import Weights

__all__ = ["FoundTensors", "export_safetensors", "read_checkpoint"]


@dataclass(frozen=True)
class FoundTensors:
    """Tensors as found in a file, not yet checked, and what was done to reach them.

    Args:
        tensors: name to array; bfloat16 and less have become float32, other dtypes are the file's.
        notes: a sentence for each thing done.
    """

    tensors: Mapping[str, NDArray[Any]]
    notes: tuple[str, ...]


def read_checkpoint(path: Path) -> FoundTensors:
    """Reads the tensors of a `.safetensors` file or of one that torch saved, never running code from it.

    A state dict may lie under the key `state_dict` or `model`, and its names may begin with `module.`.

    Raises:
        InputError: no such file, cut short or not in the format, code in the pickle (refused and not run), or something
            other than tensors inside.

    Source:
        torch.load with `weights_only=True`; safetensors.torch.load_file.
    """
    if not path.is_file():
        found = "a directory" if path.is_dir() else "nothing there"
        raise InputError(f"{path}: no such weights file, got {found}, expected a file")

    content: object = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    tensors, notes = _unwrapped(path, content)
    return FoundTensors({name: _as_numpy(value) for name, value in tensors.items()}, (*notes, *_conversions(tensors)))


def export_safetensors(weights: Weights, path: Path) -> None:
    """Writes the tensors of `weights` to `path` as safetensors; all of the file or none of it.

    Raises:
        InputError: the place cannot be written to.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    about = {"architecture": weights.architecture, "source": weights.source, "sha256": weights.sha256}
    try:
        partial.write_bytes(safetensors.numpy.save(dict(weights.state), metadata=about))
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written, got {error.strerror}, expected a writable place") from error
    finally:
        partial.unlink(missing_ok=True)


def _read_safetensors(path: Path) -> object:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise _unreadable(path, error, "safetensors") from error


def _read_torch(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that are refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # broken bytes lead torch.load into exceptions of every kind
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code is None:
            raise _unreadable(path, error, "torch") from error
        raise InputError(
            f"{path}: the pickle holds code, refused and not run, got {code.group(1)}, expected tensors alone",
            help="a file from someone you trust can be saved again as a plain state dict or as safetensors",
        ) from error


def _unreadable(path: Path, error: Exception, kind: str) -> InputError:
    first_line = (str(error).splitlines() or [""])[0]
    return InputError(
        f"{path}: cut short or not a {kind} file, got {path.stat().st_size} bytes, expected a whole {kind} file",
        notes=[f"{type(error).__name__}: {first_line}"],
    )


def _unwrapped(path: Path, content: object) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    notes: list[str] = []
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            notes.append(f"The state dict was found under the key {key!r}.")
            break
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a state dict, got a {type(content).__name__}, expected a dict of tensors")
    others = [f"{key!r}: {type(value).__name__}" for key, value in content.items() if not _is_entry(key, value)]
    if others:
        raise InputError(
            f"{path}: not a state dict, got {len(others)} entries that are no tensors, expected tensors alone",
            notes=[fold(others)],
        )
    if content and all(name.startswith("module.") for name in content):
        content = {name.removeprefix("module."): value for name, value in content.items()}
        notes.append("The prefix 'module.' was taken off every name.")

    return dict(content), tuple(notes)


def _is_entry(key: object, value: object) -> bool:
    """Whether this is a name and a tensor with plain values: not sparse, quantised or on the meta device."""
    if not (isinstance(key, str) and isinstance(value, torch.Tensor)):
        return False
    return value.layout == torch.strided and not value.is_quantized and not value.is_meta


def _as_numpy(value: torch.Tensor) -> NDArray[Any]:
    unknown_to_numpy = value.is_floating_point() and value.dtype not in (torch.float16, torch.float32, torch.float64)
    # a copy, since safetensors maps the file, and that may be written to later
    return np.array((value.float() if unknown_to_numpy else value).detach().numpy())


def _conversions(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Says which tensors are not float32 in the file: they will be converted, and float64 is rounded by that."""
    counts: dict[str, int] = {}
    for value in tensors.values():
        if value.is_floating_point() and value.dtype != torch.float32:
            kind = str(value.dtype).removeprefix("torch.")
            counts[kind] = counts.get(kind, 0) + 1

    return [f"Converted from {kind} to float32: {count} of the tensors." for kind, count in counts.items()]
