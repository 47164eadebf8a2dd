"""The text dump: a directory with one file a tensor and one value a line, read and written bit for bit.

Values are written as `numpy.savetxt` does, `%.18e`: two digits more than float64 needs, eleven more than float32.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from layerdiff.errors import InputError
from layerdiff.reference._folding import fold
from layerdiff.reference.architectures import ARCHITECTURES, expected_tensors
from layerdiff.reference.text_dump_names import from_dump_layout, param_files, tensor_files, to_dump_layout
from layerdiff.reference.weights import Weights

__all__ = ["TextDump", "export_text", "read_text_dump"]

_NUMBER = re.compile(rb"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf(inity)?)", re.IGNORECASE)
_PER_WRITE = 1 << 16


@dataclass(frozen=True)
class TextDump:
    """What a text dump holds.

    Args:
        tensors: torchvision's name to float64 array in torchvision's layout; only those that are there.
        notes: a sentence for each thing worth knowing about them.
    """

    tensors: Mapping[str, NDArray[np.float64]]
    notes: tuple[str, ...]


class _BadFileError(Exception):
    """One file of the dump that cannot be used, and why."""


def read_text_dump(directory: Path, architecture: str) -> TextDump:
    """Reads what a text dump holds of `architecture`; tensors without a file are left out.

    Raises:
        InputError: no such directory, none of its files is this architecture's, files the architecture has no tensor
            for, words that are no numbers, a wrong number of values, or a layer whose `_param.txt` says otherwise.
    """
    shapes = expected_tensors(architecture)
    present = _listed(directory, architecture)
    tensors: dict[str, NDArray[np.float64]] = {}
    problems: list[str] = []
    for file, name in tensor_files(architecture).items():
        if file in present:
            try:
                values = _read_values(directory / file, int(np.prod(shapes[name])), f"{name} {shapes[name]}")
                tensors[name] = from_dump_layout(values, shapes[name])
            except _BadFileError as error:
                problems.append(str(error))
    for file, params in param_files(architecture).items():
        if file in present:
            try:
                _check_params(directory / file, params)
            except _BadFileError as error:
                problems.append(str(error))
    if problems:
        rest = [f"and {len(problems) - 10} more"] if len(problems) > 10 else []
        raise InputError(
            f"{directory}: the text dump cannot be used, got {len(problems)} bad files, expected none",
            notes=[*problems[:10], *rest],
        )

    return TextDump(tensors, tuple(_rounding_note(tensors)))


def export_text(weights: Weights, directory: Path, *, overwrite: bool = False) -> None:
    """Writes `weights` as a text dump that reads back bit for bit; all of the directory or none of it.

    Args:
        weights: tensors that it lacks are left out; every layer's `_param.txt` is written all the same.
        directory: made by this; an empty one may be there.
        overwrite: replace all that is in `directory`.

    Raises:
        InputError: the directory is there and holds something, or the place cannot be written to.
    """
    place = directory.resolve()
    partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
    try:
        held = len(list(place.iterdir())) if place.exists() else 0
        if held and not overwrite:
            raise InputError(f"{directory}: the directory is not empty, got {held} entries, expected none")
        partial.mkdir(parents=True)
        for file, name in tensor_files(weights.architecture).items():
            if name in weights.state:
                _write_values(partial / file, to_dump_layout(weights.state[name]))
        for file, params in param_files(weights.architecture).items():
            _write_values(partial / file, np.array(params))
        _put_in_place(partial, place)
    except OSError as error:
        raise InputError(f"{directory}: cannot be written, got {error.strerror}, expected a writable place") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(made: Path, directory: Path) -> None:
    """Makes `made` the directory; what was there is gone only once that is done, or is as it was."""
    aside = directory.with_name(f"{made.name}.replaced")
    try:
        if directory.exists():
            directory.rename(aside)
        made.rename(directory)
    finally:
        if directory.exists():
            shutil.rmtree(aside, ignore_errors=True)
        elif aside.exists():
            aside.rename(directory)


def _listed(directory: Path, architecture: str) -> set[str]:
    """Names the files of the dump, once there are some and the architecture knows them all."""
    try:
        every = {path.name for path in directory.iterdir() if path.suffix == ".txt"}
    except OSError as error:
        raise InputError(f"{directory}: no such text dump, got {error.strerror}, expected a directory") from error
    present = {file for file in every if file.startswith(f"{architecture}_")}
    if not present & tensor_files(architecture).keys():
        others = [name for name in ARCHITECTURES if any(file.startswith(f"{name}_") for file in every)]
        found = f"files of {fold(others)}" if others else "no such file"
        raise InputError(f"{directory}: holds no tensor of {architecture}, got {found}, expected {architecture}_*.txt")
    unknown = sorted(present - tensor_files(architecture).keys() - param_files(architecture).keys())
    if unknown:
        raise InputError(
            f"{directory}: {architecture} has no such tensors, got {len(unknown)} extra files, expected none",
            notes=[f"extra: {fold(unknown)}"],
        )

    return present


def _read_values(path: Path, count: int, expected: str) -> NDArray[np.float64]:
    """Reads `count` numbers, (count,); `expected` says in the message what they are for."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _BadFileError(f"{path.name}: cannot be read: {error.strerror}") from error
    try:
        if b"_" in text:  # Python reads 1_000 as a number, the format does not
            raise ValueError
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        raise _BadFileError(f"{path.name}{_first_bad_word(text)}, expected a number") from None
    if values.size != count:
        raise _BadFileError(f"{path.name}: got {values.size} values, expected {count} for {expected}")

    return values


def _first_bad_word(text: bytes) -> str:
    for number, line in enumerate(text.splitlines(), start=1):
        for word in line.split():
            if not _NUMBER.fullmatch(word):
                return f", line {number}: got {word[:40].decode(errors='replace')!r}"

    return ": got something else"


def _check_params(path: Path, expected: tuple[float, ...]) -> None:
    given = _read_values(path, len(expected), f"the parameters {expected}")
    if not np.allclose(given, expected, rtol=1e-6, atol=0):  # eps may have passed through float32
        got = tuple(float(f"{value:g}") for value in given)
        raise _BadFileError(f"{path.name}: got {got}, expected {tuple(map(float, expected))}")


def _rounding_note(tensors: Mapping[str, NDArray[np.float64]]) -> Iterator[str]:
    with np.errstate(over="ignore", under="ignore"):
        count = sum(not np.array_equal(value.astype(np.float32), value, equal_nan=True) for value in tensors.values())
    if count:
        yield f"Values finer than float32 were rounded to it in {count} of the tensors."


def _write_values(path: Path, values: NDArray[np.floating]) -> None:
    with path.open("w", encoding="ascii", newline="\n") as file:
        for start in range(0, values.size, _PER_WRITE):
            some = values[start : start + _PER_WRITE].tolist()
            file.write(("%.18e\n" * len(some)) % tuple(some))
