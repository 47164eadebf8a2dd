"""Files in the idx format, which MNIST is published in: one array of bytes, plain or packed by gzip.

Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits", section "File formats".
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from layerdiff.errors import InputError

__all__ = ["read_idx"]

_LARGEST = 1 << 30  # bytes: 22 times MNIST, and what a header may ask of the memory
_UNSIGNED_BYTES = 0x08
_GZIP = b"\x1f\x8b"


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Reads the array of unsigned bytes in an idx file.

    Args:
        path: the file; whether gzip packed it is seen from its first bytes, not from its name.
        ndim: how many axes the array must have: 3 for images, 1 for labels.

    Returns:
        The array, uint8, read-only.

    Raises:
        InputError: no such file, a damaged gzip file, another magic number, an array without values or too large to be
            honest, or more or fewer values than its header says.
    """
    if not path.is_file():
        found = "a directory" if path.is_dir() else "nothing there"
        raise InputError(f"{path}: no such idx file, got {found}, expected a file")
    try:
        with _opened(path) as file:
            shape = _read_header(path, file, ndim)
            count = math.prod(shape)
            values = file.read(count + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path}: the gzip file is cut short or damaged, got {path.stat().st_size} bytes, expected a whole file",
            notes=[f"{type(error).__name__}: {error}"],
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read, got {error.strerror}, expected a readable file") from error
    if len(values) != count:
        raise InputError(
            f"{path}: the idx file is {'cut short' if len(values) < count else 'too long'}, got "
            f"{len(values) if len(values) < count else f'more than {count}'} values, "
            f"expected {count}, as its header says: {' x '.join(map(str, shape))}"
        )
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
    return cast(IO[bytes], gzip.open(path)) if packed else path.open("rb")


def _read_header(path: Path, file: IO[bytes], ndim: int) -> tuple[int, ...]:
    header = file.read(4 + 4 * ndim)
    magic, expected = header[:4], bytes([0, 0, _UNSIGNED_BYTES, ndim])
    if magic != expected:
        raise InputError(
            f"{path}: another magic number, got 0x{magic.hex() or '0'}, expected 0x{expected.hex()} "
            f"of an idx file of unsigned bytes with {ndim} {'axis' if ndim == 1 else 'axes'}",
            help="images have three axes, labels one: were the two exchanged?",
        )
    if len(header) < 4 + 4 * ndim:
        raise InputError(
            f"{path}: the idx file is cut short, got {len(header)} bytes of its header, expected {4 + 4 * ndim}"
        )
    shape = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4))
    if not 0 < math.prod(shape) <= _LARGEST:
        raise InputError(
            f"{path}: unusable sizes in the idx header, got {' x '.join(map(str, shape))}, "
            f"expected from 1 to {_LARGEST} values"
        )
    return shape
