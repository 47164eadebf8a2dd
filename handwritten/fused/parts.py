"""A network of the family as its folded convolutions, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from layerdiff.handwritten.configurations import Configuration
from layerdiff.handwritten.fused.folding import Kernel, fold
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Block", "Parts", "parts_of"]


@dataclass(frozen=True)
class Block:
    """A residual block.

    Attributes:
        name: as in torchvision.
        convolutions: of its branch; all but the last are followed by a rectifier of their own.
        projection: of its shortcut; None where the input passes unchanged.
    """

    name: str
    convolutions: tuple[Kernel, ...]
    projection: Kernel | None


@dataclass(frozen=True)
class Parts:
    """What a plan is built from; a part is folded only when asked for, so that one is in memory at a time.

    Attributes:
        stem: the first convolution.
        blocks: iterates over the blocks.
        weight: of the last layer, (classes, features).
        bias: of the last layer, (classes,).
    """

    stem: Callable[[], Kernel]
    blocks: Callable[[], Iterator[Block]]
    weight: Array
    bias: Array


def parts_of(config: Configuration, state: Mapping[str, Array]) -> Parts:
    """The parts of the network `config` with the weights of a checked state dict."""

    def blocks() -> Iterator[Block]:
        for i, stage in enumerate(config.stages, start=1):
            for j in range(stage.blocks):
                stride = stage.stride if j == 0 else 1
                yield _block(config, state, f"layer{i}.{j}", stride)

    return Parts(
        lambda: fold(state, "conv1", "bn1", stride=2, padding=3),
        blocks,
        np.asarray(state["fc.weight"]),
        np.asarray(state["fc.bias"]),
    )


def _block(config: Configuration, state: Mapping[str, Array], name: str, stride: int) -> Block:
    def conv(i: int, **how: int) -> Kernel:
        return fold(state, f"{name}.conv{i}", f"{name}.bn{i}", **how)

    if config.block == "basic":
        convolutions: tuple[Kernel, ...] = (conv(1, stride=stride, padding=1), conv(2, padding=1))
    else:
        convolutions = (conv(1), conv(2, stride=stride, padding=1, groups=config.groups), conv(3))
    projects = f"{name}.downsample.0.weight" in state
    down = fold(state, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride) if projects else None
    return Block(name, convolutions, down)
