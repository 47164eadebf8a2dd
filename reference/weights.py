"""Weights: the float tensors of one network with where they came from, and what can be done with a partial set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from layerdiff.reference.architectures import expected_tensors, full_state_dict

__all__ = ["Weights", "covered_prefix", "make_weights", "state_dict"]


@dataclass(frozen=True)
class Weights:
    """The float tensors of one network, read-only, and where they came from.

    Args:
        architecture: whose they are, one of `ARCHITECTURES`.
        spec: how they were asked for, such as `auto`.
        source: what was really loaded, for people.
        state: torchvision's name to float32 array, in torchvision's order; lacks what `missing` lists.
        missing: tensors that a partial text dump does not hold; empty otherwise.
        notes: what was done to the tensors on the way in, and what they lack, a sentence each.
        fallback: why these are not the weights that `auto` prefers, a sentence to be said first; else None.
        sha256: of the names, shapes and bytes: the same weights have the same hash whatever file they came from.
    """

    architecture: str
    spec: str
    source: str
    state: Mapping[str, NDArray[np.float32]]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    fallback: str | None
    sha256: str


def make_weights(
    architecture: str,
    spec: str,
    source: str,
    state: Mapping[str, NDArray[np.float32]],
    notes: tuple[str, ...] = (),
) -> Weights:
    """Makes `Weights` of tensors already checked: sets them read-only, lists what is missing, takes the hash."""
    missing = tuple(name for name in expected_tensors(architecture) if name not in state)
    for value in state.values():
        value.setflags(write=False)

    return Weights(architecture, spec, source, MappingProxyType(dict(state)), missing, notes, None, _hash(state))


def state_dict(weights: Weights) -> dict[str, torch.Tensor]:
    """Returns what `load_state_dict(strict=True)` asks for on a network with torchvision's attribute names.

    A fresh copy in float32: the batch counters are zero and tensors that `weights` lacks are filled with NaN.
    """
    return full_state_dict(weights.architecture, weights.state)


def covered_prefix(weights: Weights) -> str | None:
    """Names the last of torchvision's stages up to which no tensor is missing: `conv1`, `bn1`, `layer1` ... `fc`.

    Returns:
        The stage, `fc` when nothing is missing, None when `conv1` itself is.
    """
    covered = None
    lacking = {name.split(".")[0] for name in weights.missing}
    for stage in dict.fromkeys(name.split(".")[0] for name in expected_tensors(weights.architecture)):
        if stage in lacking:
            break
        covered = stage

    return covered


def _hash(state: Mapping[str, NDArray[np.float32]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        digest.update(f"{name} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value, dtype="<f4").data)

    return digest.hexdigest()
