"""A folder of `.npy` files as a container of arrays; nothing outside the folder is ever read."""

from __future__ import annotations

import os
from pathlib import Path

from layerdiff.compare.trace import Array
from layerdiff.compare.trace_stored import Container, Stored, read_npy, refuse, stored_npy
from layerdiff.errors import InputError

__all__ = ["open_folder"]


def open_folder(path: Path) -> Container:
    """What a folder holds: every `.npy` file in it, by its name without the suffix, and its `manifest.json`.

    A file in a folder below is named by its path from here: `stage1/conv1`.

    Raises:
        InputError: a file that cannot be read or is no array, or a link out of the folder.
    """
    found = [Path(folder, name) for folder, below, names in os.walk(path) for name in (*below, *names)]
    files = sorted(file for file in found if file.suffix == ".npy" or (file.is_dir() and file.is_symlink()))
    inside = path.resolve()
    bad = [file for file in files if not (file.is_file() and file.resolve().is_relative_to(inside))]
    refuse(str(path), [f"not a file in it, got {file.relative_to(path)}, expected no folder or link" for file in bad])
    arrays = {file.relative_to(path).with_suffix("").as_posix(): _stored(file) for file in files}
    return Container(arrays, _manifest(path))


def _stored(file: Path) -> Stored:
    try:
        with file.open("rb") as opened:
            return stored_npy(str(file), opened, file.stat().st_size, lambda: _load(file))
    except OSError as error:
        raise InputError(f"{file}: cannot be read, got {error.strerror}") from None


def _load(file: Path) -> Array:
    with file.open("rb") as opened:
        return read_npy(str(file), opened)


def _manifest(path: Path) -> str | None:
    file = path / "manifest.json"
    if not file.exists() and not file.is_symlink():
        return None
    if not file.is_file() or not file.resolve().is_relative_to(path.resolve()):
        raise InputError(f"{file}: not a file in the folder, expected a manifest")
    try:
        return file.read_text("utf-8", "replace")
    except OSError as error:
        raise InputError(f"{file}: cannot be read, got {error.strerror}") from None
