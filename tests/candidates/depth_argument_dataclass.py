"""One class for all depths; the table of the paper as data."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Stage(NamedTuple):
    channels: int
    repeats: int
    stride: int


@dataclass(frozen=True)
class Plan:
    bottleneck: bool
    repeats: tuple[int, int, int, int]

    def stages(self):
        for i, repeats in enumerate(self.repeats):
            yield Stage(64 << i, repeats, 2 if i else 1)


PLANS = {
    18: Plan(False, (2, 2, 2, 2)),
    34: Plan(False, (3, 4, 6, 3)),
    50: Plan(True, (3, 4, 6, 3)),
    101: Plan(True, (3, 4, 23, 3)),
    152: Plan(True, (3, 8, 36, 3)),
}


class ConvBN(nn.Module):
    """Convolution and batch normalisation, which always come together."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(cout)
        self.conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Block(nn.Module):
    def __init__(self, cin: int, channels: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        widths = (cin, channels, channels, channels * 4) if bottleneck else (cin, channels, channels)
        strides = (1, stride, 1) if bottleneck else (stride, 1)
        self.cout = widths[-1]
        self.shortcut = ConvBN(cin, self.cout, 1, stride) if stride > 1 or cin != self.cout else None
        self.path = nn.ModuleList(map(ConvBN, widths[:-1], widths[1:], kernels, strides))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        *inner, last = self.path
        for layer in inner:
            x = torch.relu(layer(x))
        return torch.relu(shortcut + last(x))


class ResNet(nn.Module):
    def __init__(self, depth: int = 50, num_classes: int = 1000) -> None:
        super().__init__()
        plan = PLANS[depth]
        self.stem = ConvBN(3, 64, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.blocks = nn.ModuleList()
        width = 64
        for stage in plan.stages():
            for i in range(stage.repeats):
                block = Block(width, stage.channels, stage.stride if i == 0 else 1, bottleneck=plan.bottleneck)
                self.blocks.append(block)
                width = block.cout
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean((-2, -1)))
