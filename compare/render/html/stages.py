"""The stages of a network, as the names of its layers tell them: stem, layer1, layer2, ..., fc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

__all__ = ["Stage", "stages"]

_ENOUGH = 3


@dataclass(frozen=True)
class Stage:
    """Layers in a row that stand in the same part of the network.

    Attributes:
        name: of that part.
        start: place of the first layer.
        stop: place behind the last one.
    """

    name: str
    start: int
    stop: int


def stages(layers: Sequence[str]) -> tuple[Stage, ...]:
    """The stages of layers in the order of execution; all layers are in one, and each is in only one.

    A stage is named by the first part of its layers' ids. Where that tells nothing apart, as in
    `features.0`, `features.1`, more parts are taken. Layers at the top itself are the `stem`, or are named by the last.

    Args:
        layers: ids.
    """
    found: tuple[Stage, ...] = ()
    for depth in (1, 2, 3):
        found = _grouped(layers, depth)
        if len(found) >= _ENOUGH:
            break
    return found


def _grouped(layers: Sequence[str], depth: int) -> tuple[Stage, ...]:
    found: list[Stage] = []
    for part, group in groupby(range(len(layers)), key=lambda i: _part(layers[i], depth)):
        places = list(group)
        name = part or ("stem" if not found else layers[places[-1]])
        found.append(Stage(name, places[0], places[-1] + 1))
    return tuple(found)


def _part(layer: str, depth: int) -> str:
    """The first parts of an id, without its last one."""
    return ".".join(layer.split(".")[:-1][:depth])
