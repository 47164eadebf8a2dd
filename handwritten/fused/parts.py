"""A network of the family as its convolutions with their batch norms, in the order in which they run.

What stands for a convolution and its batch norm is left to who asks: folded into one here, side by side in `kept`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from layerdiff.handwritten.configurations import Configuration
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Block", "Make", "Parts", "parts_of"]

Layer = TypeVar("Layer")
Made_co = TypeVar("Made_co", covariant=True)


class Make(Protocol[Made_co]):
    """Makes of a convolution and the batch norm behind it, both named, what a plan works with."""

    def __call__(
        self, state: Mapping[str, Array], conv: str, norm: str, *, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> Made_co:
        """See `folding.fold`."""


@dataclass(frozen=True)
class Block(Generic[Layer]):
    """A residual block.

    Attributes:
        name: as in torchvision.
        convolutions: of its branch; all but the last are followed by a rectifier of their own.
        projection: of its shortcut; None where the input passes unchanged.
    """

    name: str
    convolutions: tuple[Layer, ...]
    projection: Layer | None


@dataclass(frozen=True)
class Parts(Generic[Layer]):
    """What a plan is built from; a part is made only when asked for, so that one is in memory at a time.

    Attributes:
        stem: the first convolution.
        blocks: iterates over the blocks.
        weight: of the last layer, (classes, features).
        bias: of the last layer, (classes,).
    """

    stem: Callable[[], Layer]
    blocks: Callable[[], Iterator[Block[Layer]]]
    weight: Array
    bias: Array


def parts_of(config: Configuration, state: Mapping[str, Array], make: Make[Layer]) -> Parts[Layer]:
    """The parts of the network `config` with the weights of a checked state dict, each convolution as `make` has it."""

    def blocks() -> Iterator[Block[Layer]]:
        for i, stage in enumerate(config.stages, start=1):
            for j in range(stage.blocks):
                yield _block(config, state, make, f"layer{i}.{j}", stage.stride if j == 0 else 1)

    return Parts(
        lambda: make(state, "conv1", "bn1", stride=2, padding=3),
        blocks,
        np.asarray(state["fc.weight"]),
        np.asarray(state["fc.bias"]),
    )


def _block(
    config: Configuration, state: Mapping[str, Array], make: Make[Layer], name: str, stride: int
) -> Block[Layer]:
    def conv(i: int, **how: int) -> Layer:
        return make(state, f"{name}.conv{i}", f"{name}.bn{i}", **how)

    if config.block == "basic":
        convolutions: tuple[Layer, ...] = (conv(1, stride=stride, padding=1), conv(2, padding=1))
    else:
        convolutions = (conv(1), conv(2, stride=stride, padding=1, groups=config.groups), conv(3))
    projects = f"{name}.downsample.0.weight" in state
    down = make(state, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride) if projects else None
    return Block(name, convolutions, down)
