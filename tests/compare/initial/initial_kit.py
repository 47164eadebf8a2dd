"""Small residual networks that begin as torchvision's do, to be drawn otherwise and judged."""

from __future__ import annotations

import torch
from torch import nn

import layerdiff

SIZE = (16, 16)


class Block(nn.Module):
    """A basic block, with a projection where the number of channels changes."""

    def __init__(self, before, channels):
        super().__init__()
        stride = 1 if before == channels else 2
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x):
        """(n, c, h, w) to maps of the block's channels."""
        out = torch.relu(self.bn1(self.conv1(x)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.bn2(self.conv2(out)) + shortcut)


class Small(nn.Module):
    """A stem, two blocks and a head: six convolutions, judged in a tenth of a second."""

    def __init__(self, *, stem_bias=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1, bias=stem_bias)
        self.bn1 = nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(Block(32, 32), Block(32, 64))
        self.fc = nn.Linear(64, 500)

    def forward(self, x):
        """(n, 3, h, w) to logits (n, 500)."""
        x = self.blocks(torch.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean([2, 3]))


def kernels(network):
    """The weights of its convolutions."""
    return [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]


def norms(network):
    """Its batch norms."""
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def built(seed, plant=None, **options):
    """A small network whose convolutions are drawn as torchvision's are; `plant` changes it then."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = Small(**options)
        for weight in kernels(network):
            nn.init.kaiming_normal_(weight, mode="fan_out")
        if plant is not None:
            plant(network)
    return network.eval()


def judged(plant=None, *, seed=0, expected=None, **options):
    """How a small network begins, after `plant`, against one that is as it should be."""
    return layerdiff.compare_initial(built(seed, plant, **options), expected=expected or built(100), size=SIZE)
