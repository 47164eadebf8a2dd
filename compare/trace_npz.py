"""An `.npz` file as a container of arrays: headers first, and never a pickle."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

from layerdiff.compare.trace import Array
from layerdiff.compare.trace_stored import Container, Stored, read_npy, refuse_names, stored_npy
from layerdiff.errors import InputError

__all__ = ["open_npz"]

_MANIFEST = "manifest"
_LARGEST_MANIFEST = 1 << 24


def open_npz(path: Path) -> Container:
    """What an `.npz` file holds; its manifest is a member `manifest.json`, or a string array `manifest`.

    Source: numpy.savez, a zip file with one `.npy` file for each array.

    Raises:
        InputError: not a zip file, cut short, a name that stands twice or is none, a member that is no array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            refuse_names(path, [member.filename for member in members])
            text = _manifest(path, archive)
            arrays = {
                member.filename.removesuffix(".npy"): _stored(path, archive, member)
                for member in members
                if member.filename not in {f"{_MANIFEST}.json", f"{_MANIFEST}.npy"}
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise InputError(f"{path}: not a readable .npz file, got {error}, expected what numpy.savez writes") from None
    if len(arrays) < len({member.filename for member in members} - {f"{_MANIFEST}.json", f"{_MANIFEST}.npy"}):
        raise InputError(f"{path}: two members have one name, with and without .npy")
    return Container(arrays, text)


def _stored(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Stored:
    place = f"{path}: {member.filename}"
    with archive.open(member) as file:
        return stored_npy(place, file, member.file_size, lambda: _load(path, member.filename))


def _load(path: Path, name: str) -> Array:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            return read_npy(f"{path}: {name}", file)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: {name}: cannot be read, got {error}") from None


def _manifest(path: Path, archive: zipfile.ZipFile) -> str | None:
    names = sorted({f"{_MANIFEST}.json", f"{_MANIFEST}.npy"} & set(archive.namelist()))
    if not names:
        return None
    if len(names) == 2:
        raise InputError(f"{path}: two manifests, got manifest.json and the array manifest, expected one of them")
    (name,) = names
    size = archive.getinfo(name).file_size
    if size > _LARGEST_MANIFEST:
        raise InputError(f"{path}: its manifest is too large, got {size:,} bytes, expected up to {_LARGEST_MANIFEST:,}")
    if name.endswith(".json"):
        return archive.read(name).decode("utf-8", "replace")
    with archive.open(name) as file:
        stored = stored_npy(f"{path}: {name}", file, size, lambda: _load(path, name))
    if not stored.dtype.startswith(("str", "bytes")) or math.prod(stored.shape) != 1:
        raise InputError(f"{path}: its manifest is no text, got {stored.dtype}{stored.shape}, expected one string")
    text = stored.load().reshape(-1)[0]
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
