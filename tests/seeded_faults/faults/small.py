"""Small residual networks in which faults show that a plain ResNet hides.

In a plain ResNet the max-pool sees nothing below zero, the map is one pixel where it is flattened, no average is
taken over padding, no convolution has a bias and no block gets negative input. Here each of these is otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["NETWORKS"]


class Block(nn.Module):
    """conv, bn, relu, conv, bn, add, relu; the projection averages first where `averaged`."""

    def __init__(self, before: int, channels: int, stride: int, averaged: bool = False, bias: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=bias)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Sequential | None = None
        if averaged:
            self.downsample = nn.Sequential(
                nn.AvgPool2d(3, stride, 1, count_include_pad=False),
                nn.Conv2d(before, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )
        elif stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) to (n, channels, h/stride, w/stride)."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        y: Tensor = self.relu(self.bn2(self.conv2(out)) + identity)
        return y


class PreBlock(nn.Module):
    """bn, relu, conv, bn, relu, conv, add: the shortcut carries negative values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) in and out."""
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        y: Tensor = out + x
        return y


class ReluFirstBlock(nn.Module):
    """relu, conv, bn, relu, conv, bn, add: the shortcut carries what the first ReLU takes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) in and out."""
        out = self.bn1(self.conv1(self.relu(x)))
        out = self.bn2(self.conv2(self.relu(out)))
        y: Tensor = out + x
        return y


class Small(nn.Module):
    """A stem, some blocks, a pool, a linear map."""

    def __init__(
        self, blocks: list[nn.Module], width: int, *, pool: int = 1, classes: int = 40, rectified: bool = True
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU() if rectified else None
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        self.fc = nn.Linear(width * pool * pool, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, classes)."""
        x = self.bn1(self.conv1(x))
        x = self.maxpool(x if self.relu is None else self.relu(x))
        x = self.avgpool(self.layer1(x))
        y: Tensor = self.fc(torch.flatten(x, 1))
        return y


def _calibrated(network: nn.Module) -> nn.Module:
    """Every tensor drawn so that no fault can hide: kernels without symmetry, statistics that are not 0 and 1."""
    generator = torch.Generator().manual_seed(20)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.3, 1.3, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    # One pass in training mode: the statistics are those of what really flows through it.
    noise = torch.randn(8, 3, 64, 64, generator=generator)
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(noise)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return network.eval().requires_grad_(False)


def _seeded(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def network() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            return _calibrated(build())

    return network


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "pool_first": _seeded(lambda: Small([Block(16, 16, 1), Block(16, 32, 2)], 32, rectified=False)),
    "averaged": _seeded(lambda: Small([Block(16, 32, 2, averaged=True), Block(32, 32, 1)], 32)),
    "preact": _seeded(lambda: Small([PreBlock(16), PreBlock(16)], 16)),
    "relu_first": _seeded(lambda: Small([ReluFirstBlock(16), ReluFirstBlock(16), ReluFirstBlock(16)], 16)),
    "wide_head": _seeded(lambda: Small([Block(16, 16, 1), Block(16, 32, 2)], 32, pool=4)),
    "biased": _seeded(lambda: Small([Block(16, 16, 1, bias=True), Block(16, 32, 2)], 32)),
    "square_head": _seeded(lambda: Small([Block(16, 16, 1), Block(16, 32, 2)], 32, classes=32)),
}
"""By name; each call gives the same network."""
