"""Group I: the network is right, and what it is given or gives is not."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from torch import nn

from .edits import Edit
from .model import Fault, Truth

__all__ = ["LABELS"]

Array = np.ndarray[Any, Any]


def permuted_head(edit: Edit, order: Any) -> None:
    fc: nn.Linear = copy.deepcopy(edit.like("fc"))
    index = order(fc.out_features)
    fc.weight.data, fc.bias.data = fc.weight.data[index].clone(), fc.bias.data[index].clone()
    edit.put("fc", fc)


def shifted(count: int) -> list[int]:
    return [(i - 1) % count for i in range(count)]


def shuffled(count: int) -> list[int]:
    return [int(i) for i in np.random.default_rng(3).permutation(count)]


def alphabetical(count: int) -> list[int]:
    """Class folders in the order of their names as text: 0, 1, 10, 100, ..."""
    return sorted(range(count), key=str)


LABELS: tuple[Fault, ...] = tuple(
    Fault("I8", name, title, lambda e, layer, order=order: permuted_head(e, order), lambda host: ["fc"],
          lambda host, place: (Truth(frozenset({"fc"})),), keep=True, count=3)
    for name, title, order in (
        ("shifted-by-one", "the classes are counted from one", shifted),
        ("alphabetical", "the classes are in the order of their numbers as text", alphabetical),
        ("shuffled", "the classes are in some other order", shuffled),
    )
)  # fmt: skip
