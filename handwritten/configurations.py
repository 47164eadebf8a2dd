"""The networks of the family, as the few numbers in which they differ. Both halves build from this table.

Source: He et al., "Deep Residual Learning for Image Recognition", 2015, table 1; Zagoruyko & Komodakis, "Wide
Residual Networks", 2016; Xie et al., "Aggregated Residual Transformations", 2017 (ResNeXt). Names as in torchvision.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from layerdiff.handwritten._checks import refusal

__all__ = ["CONFIGURATIONS", "Configuration", "Stage", "configuration"]


@dataclass(frozen=True)
class Stage:
    """One of the four groups of blocks that work at the same resolution, a row of table 1.

    Attributes:
        blocks: how many residual blocks.
        in_channels: of the first block.
        channels: the width of the 3x3 convolutions in the plain network.
        out_channels: of every block, `expansion` times `channels`.
        stride: of the first block, which halves the resolution in every stage but the first.
    """

    blocks: int
    in_channels: int
    channels: int
    out_channels: int
    stride: int

    @property
    def changes_shape(self) -> bool:
        """Whether the first block's output differs in shape from its input, so that its shortcut must project."""
        return self.stride != 1 or self.in_channels != self.out_channels


@dataclass(frozen=True)
class Configuration:
    """What tells one network of the family from another.

    Attributes:
        block: two 3x3 convolutions ("basic"), or 1x1, 3x3, 1x1 ("bottleneck").
        blocks: the number of blocks in each of the four stages.
        groups: into how many groups the 3x3 convolution of a bottleneck is divided (ResNeXt's cardinality).
        width_per_group: channels per group in the first stage's 3x3 convolution.
    """

    block: Literal["basic", "bottleneck"]
    blocks: tuple[int, int, int, int]
    groups: int = 1
    width_per_group: int = 64

    @property
    def expansion(self) -> int:
        """Channels out of a block for each channel of its stage."""
        return 4 if self.block == "bottleneck" else 1

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The four stages, at strides 4, 8, 16 and 32 from the image."""
        stages: list[Stage] = []
        in_channels = 64
        for i, blocks in enumerate(self.blocks):
            channels = 64 * 2**i
            out_channels = channels * self.expansion
            stages.append(Stage(blocks, in_channels, channels, out_channels, stride=1 if i == 0 else 2))
            in_channels = out_channels
        return tuple(stages)

    def inner_channels(self, channels: int) -> int:
        """The width of the 3x3 convolution in a bottleneck of a stage with `channels`."""
        return channels * self.width_per_group // 64 * self.groups


CONFIGURATIONS: Mapping[str, Configuration] = MappingProxyType(
    {
        "resnet18": Configuration("basic", (2, 2, 2, 2)),
        "resnet34": Configuration("basic", (3, 4, 6, 3)),
        "resnet50": Configuration("bottleneck", (3, 4, 6, 3)),
        "resnet101": Configuration("bottleneck", (3, 4, 23, 3)),
        "resnet152": Configuration("bottleneck", (3, 8, 36, 3)),
        "wide_resnet50_2": Configuration("bottleneck", (3, 4, 6, 3), width_per_group=128),
        "resnext50_32x4d": Configuration("bottleneck", (3, 4, 6, 3), groups=32, width_per_group=4),
    }
)


def configuration(name: str) -> Configuration:
    """The configuration called `name`.

    Raises:
        ValueError: there is none of that name; the error lists those there are and suggests the nearest.
    """
    if name in CONFIGURATIONS:
        return CONFIGURATIONS[name]
    nearest = difflib.get_close_matches(name, CONFIGURATIONS, n=1)
    raise refusal(
        f"build: unknown network, got {name!r}, expected one of {', '.join(CONFIGURATIONS)}",
        help=f"did you mean {nearest[0]!r}?" if nearest else "choose one of the names above",
    )
