"""The state of a training as a safetensors file: written all or nothing, and refused if a byte of it is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.training.history import History
from layerdiff.handwritten.training.learner import State

__all__ = ["BEST", "LAST", "Checkpoint", "network_state", "read_checkpoint", "write_checkpoint"]

LAST = "last.safetensors"
BEST = "best.safetensors"

_FORMAT = "layerdiff training 1"
_FIELDS = ("format", "epoch", "history", "facts")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a training goes on from.

    Attributes:
        state: the learner's arrays, its random generators among them.
        history: of the epochs so far; their number is the epoch.
        facts: of the plan and the images, see `plan.facts`.
    """

    state: State
    history: History
    facts: Mapping[str, str]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint; whoever reads `path` meanwhile, or after a crash, finds the old file or the new one.

    Raises:
        ValueError: the place cannot be written to.
    """
    arrays = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in checkpoint.state.items()}
    about = {
        "format": _FORMAT,
        "epoch": str(len(checkpoint.history.epochs)),
        "history": checkpoint.history.to_json(),
        "facts": json.dumps(dict(checkpoint.facts), sort_keys=True),
    }
    about["sha256"] = _digest(arrays, about)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(safetensors.numpy.save(arrays, metadata=about))
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave the new name with nothing in it
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise refusal(
            f"{path}: the checkpoint cannot be written, got {error.strerror}, expected a writable place",
            help="what was there before is still there",
        ) from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint that `train` kept.

    Raises:
        ValueError: no such file, a safetensors file of something else, or one that is damaged.
    """
    if not path.is_file():
        raise refusal(
            f"{path}: no such checkpoint, got {'a directory' if path.is_dir() else 'nothing there'}, expected a file",
            help=f"`train` keeps {LAST} and {BEST} in the folder it is given",
        )
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
    except (safetensors.SafetensorError, OSError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    if about.get("format") != _FORMAT:
        raise refusal(
            f"{path}: not the checkpoint of a training, got format {about.get('format', 'none')!r}, "
            f"expected {_FORMAT!r}",
            help="weights alone are loaded with network.load_state_dict",
        )
    if about.get("sha256") != _digest(arrays, about):
        raise _damaged(path, "its bytes are not those that were written")
    return Checkpoint(arrays, History.from_json(about["history"]), json.loads(about["facts"]))


def network_state(checkpoint: Checkpoint) -> State:
    """The network's own arrays, by the names of its state dict."""
    start = "network."
    return {name.removeprefix(start): array for name, array in checkpoint.state.items() if name.startswith(start)}


def _digest(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for field in _FIELDS:
        digest.update(f"{field}={about.get(field)}\n".encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _damaged(path: Path, reason: str) -> ValueError:
    error = refusal(
        f"{path}: the checkpoint is cut short or damaged, got {path.stat().st_size} bytes, expected a whole file",
        help=f"{BEST if path.name == LAST else LAST} beside it may be whole",
    )
    error.add_note(f"note: {reason}")
    return error
