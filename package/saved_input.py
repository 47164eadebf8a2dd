"""Input tensors from files: numbers only, never code."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.errors import InputError

__all__ = ["SUFFIXES", "as_array", "read_input"]

SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".safetensors")


def read_input(path: Path) -> NDArray[Any]:
    """The one array in a .npy, .npz, .pt, .pth or .safetensors file.

    Raises:
        InputError: no such file, not readable, holds Python objects, or not one array.
    """
    if not path.is_file():
        got = "a folder" if path.is_dir() else "nothing there"
        raise InputError(f"{path}: no such input, got {got}, expected one of {', '.join(SUFFIXES)}")
    try:
        held = _read(path)
    except InputError:
        raise
    except Exception as error:  # broken bytes lead four formats into exceptions of every kind
        raise InputError(
            f"{path}: not a readable {path.suffix.lower()} file, got {type(error).__name__}: "
            f"{(str(error).splitlines() or ['no message'])[0][:200]}"
        ) from error
    arrays = {name: value for name, value in held.items() if hasattr(value, "shape")}
    if len(arrays) != 1:
        got = ", ".join(arrays) if arrays else f"a {type(next(iter(held.values()), None)).__name__}"
        raise InputError(f"{path}: not one input, got {got}, expected one array", help="save the input tensor alone")
    return as_array(next(iter(arrays.values())), str(path))


def _read(path: Path) -> Mapping[str, Any]:
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    if suffix in {".npy", ".npz"}:
        try:
            held = np.load(path, allow_pickle=False)
            return {"": held} if isinstance(held, np.ndarray) else {name: held[name] for name in held.files}
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            if "pickle" not in str(error):
                raise
            raise _code(path) from error
    import torch

    try:
        loaded = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise _code(path) from error
    return loaded if isinstance(loaded, Mapping) else {"": loaded}


def _code(path: Path) -> InputError:
    return InputError(
        f"{path}: holds more than numbers, or no numbers at all, got Python objects, expected an array",
        notes=["a pickled object is code, and is never run"],
        help="save the tensor alone: torch.save(x, path) or numpy.save(path, x)",
    )


def as_array(value: Any, place: str) -> NDArray[Any]:
    """A torch tensor or NumPy array as an array; float16 and bfloat16 become float32.

    Raises:
        InputError: it is neither.
    """
    import torch

    if isinstance(value, torch.Tensor):
        plain = value.detach().as_subclass(torch.Tensor).cpu()
        if plain.layout is torch.strided and not plain.is_quantized:
            array: NDArray[Any] = (plain.float() if plain.dtype in {torch.float16, torch.bfloat16} else plain).numpy()
            return array
    if isinstance(value, np.ndarray):
        return value.astype(np.float32) if value.dtype == np.float16 else np.asarray(value)
    got, advice = f"a {type(value).__name__}", "return a tensor or array of shape (3, h, w) or (1, 3, h, w)"
    if value is None:
        got, advice = "nothing", "did you forget to return it?"
    elif isinstance(value, Mapping):
        got = f"a {type(value).__name__} with {', '.join(map(str, value)) or 'nothing'}"
        advice = "return the tensor in it: ['pixel_values'], for instance"
    raise InputError(f"{place}: gives no input, got {got}, expected a tensor or array", help=advice)
