"""Checks a set of tensors against what an architecture expects, and reports every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.errors import InputError
from layerdiff.reference._folding import fold
from layerdiff.reference.architectures import ARCHITECTURES, expected_tensors

__all__ = ["checked_tensors"]


def checked_tensors(
    where: str, tensors: Mapping[str, NDArray[Any]], architecture: str, *, partial: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Returns `tensors` as float32 in the architecture's order, once nothing about them is wrong.

    Batch counters are dropped. Floating types other than float32 are converted; integers are refused.

    Args:
        where: what the message begins with, such as the file's name.
        tensors: name to array of any dtype.
        architecture: one of `ARCHITECTURES`.
        partial: some, though not all, of the tensors may be missing.

    Raises:
        InputError: tensors missing, extra, misshapen, of a wrong dtype, not finite, or a variance below zero;
            all of them in one error, a note for each kind.
    """
    expected = expected_tensors(architecture)
    given = {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
    missing = [name for name in expected if name not in given]
    problems = {
        "missing": [] if partial and len(missing) < len(expected) else missing,
        "extra": [name for name in given if name not in expected],
        "misshapen": list(_misshapen(given, expected)),
        "of a wrong dtype": list(_wrong_dtype(given)),
        "not finite": list(_not_finite(given)),
        "with a variance below zero": list(_negative_variance(given)),
    }
    found = {kind: items for kind, items in problems.items() if items}
    if found:
        counts = ", ".join(f"{len(items)} {kind}" for kind, items in found.items())
        raise InputError(
            f"{where}: the tensors do not fit {architecture}, got {counts}, expected its {len(expected)} tensors",
            notes=[f"{kind}: {fold(items)}" for kind, items in found.items()],
            help=_other_architecture(given, architecture),
        )

    with np.errstate(over="ignore"):  # what does not fit float32 was reported as not finite
        return {name: np.ascontiguousarray(given[name], dtype=np.float32) for name in expected if name in given}


def _misshapen(given: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    for name, value in given.items():
        if name in expected and value.shape != expected[name]:
            yield f"{name}: got {value.shape}, expected {expected[name]}"


def _wrong_dtype(given: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    for name, value in given.items():
        if value.dtype.kind != "f":
            yield f"{name}: got {value.dtype}, expected float32"


def _not_finite(given: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    for name, value in given.items():
        if value.dtype.kind != "f":
            continue
        with np.errstate(over="ignore"):
            lost = value.size - np.count_nonzero(np.isfinite(value.astype(np.float32, copy=False)))
        if lost:
            nans = np.count_nonzero(np.isnan(value))
            yield f"{name}: {nans} NaN and {lost - nans} infinite of {value.size}"


def _negative_variance(given: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    for name, value in given.items():
        if name.endswith("running_var") and value.dtype.kind == "f" and np.any(value < 0):
            yield f"{name}: {np.count_nonzero(value < 0)} of {value.size}, the lowest {value.min():.3g}"


def _other_architecture(given: Mapping[str, NDArray[Any]], architecture: str) -> str | None:
    shapes = {name: value.shape for name, value in given.items()}
    for name in ARCHITECTURES:
        if name != architecture and shapes == expected_tensors(name):
            return f"these are the tensors of {name}"

    return None
