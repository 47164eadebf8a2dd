"""A network of the family as its convolutions and batch norms, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.configurations import Configuration
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Block", "Normed", "Parts", "parts_of"]

_EPS = 1e-5


@dataclass(frozen=True)
class Normed:
    """A convolution and the batch norm behind it, each for itself.

    Attributes:
        kernel: the convolution, its weights as they are.
        norm: the batch norm's name.
        scale: weight / sqrt(var + eps), (c_out,), float64.
        shift: bias - mean * scale, alike: what the batch norm adds to the scaled values.
    """

    kernel: Kernel
    norm: str
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """A residual block.

    Attributes:
        name: as in torchvision.
        branch: its convolutions; all but the last are followed by a rectifier of their own.
        projection: of its shortcut; None where the input passes unchanged.
    """

    name: str
    branch: tuple[Normed, ...]
    projection: Normed | None


@dataclass(frozen=True)
class Parts:
    """What a plan is built from; a part is made only when asked for, so that one is in memory at a time.

    Attributes:
        stem: the first convolution.
        blocks: iterates over the blocks.
        weight: of the last layer, (classes, features).
        bias: of the last layer, (classes,).
    """

    stem: Callable[[], Normed]
    blocks: Callable[[], Iterator[Block]]
    weight: Array
    bias: Array


def parts_of(config: Configuration, state: Mapping[str, Array]) -> Parts:
    """The parts of the network `config` with the weights of a checked state dict."""

    def blocks() -> Iterator[Block]:
        for i, stage in enumerate(config.stages, start=1):
            for j in range(stage.blocks):
                yield _block(config, state, f"layer{i}.{j}", stage.stride if j == 0 else 1)

    return Parts(
        lambda: _normed(state, "conv1", "bn1", stride=2, padding=3),
        blocks,
        np.asarray(state["fc.weight"]),
        np.asarray(state["fc.bias"]),
    )


def _block(config: Configuration, state: Mapping[str, Array], name: str, stride: int) -> Block:
    def conv(i: int, *, stride: int = 1, padding: int = 0, groups: int = 1) -> Normed:
        return _normed(state, f"{name}.conv{i}", f"{name}.bn{i}", stride=stride, padding=padding, groups=groups)

    if config.block == "basic":
        branch: tuple[Normed, ...] = (conv(1, stride=stride, padding=1), conv(2, padding=1))
    else:
        branch = (conv(1), conv(2, stride=stride, padding=1, groups=config.groups), conv(3))
    projects = f"{name}.downsample.0.weight" in state
    down = _normed(state, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride) if projects else None
    return Block(name, branch, down)


def _normed(
    state: Mapping[str, Array], conv: str, norm: str, *, stride: int, padding: int = 0, groups: int = 1
) -> Normed:
    """The convolution `conv`, and the batch norm `norm` as one factor and one summand, as torch computes it."""
    weight = np.asarray(state[f"{conv}.weight"], dtype=np.float64)
    bias = np.asarray(state.get(f"{conv}.bias", np.zeros(len(weight))), dtype=np.float64)
    gamma, beta, mean, var = (
        np.asarray(state[f"{norm}.{name}"], dtype=np.float64)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(var + _EPS)
    return Normed(Kernel(conv, weight, bias, stride, padding, groups), norm, scale, beta - mean * scale)
