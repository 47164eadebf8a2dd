"""The residual blocks in torch: a branch that learns a difference, and a shortcut around it.

A block is one of two branches (`Basic`, `Bottleneck`) joined with one of two shortcuts (`IdentityBlock`, `ConvBlock`)
or with none (`PlainBlock`), so there are six, at the end of the file. Names and order of the layers are torchvision's.

Source: He et al., "Deep Residual Learning for Image Recognition", 2015, figures 2 and 5.
"""

from __future__ import annotations

from torch import Tensor, nn

from layerdiff.handwritten.configurations import Configuration
from layerdiff.handwritten.torch_layers import BatchNorm2d, Conv2d, ReLU

__all__ = [
    "BasicConvBlock",
    "BasicIdentityBlock",
    "BasicPlainBlock",
    "BottleneckConvBlock",
    "BottleneckIdentityBlock",
    "BottleneckPlainBlock",
    "ConvBlock",
    "IdentityBlock",
    "PlainBlock",
]


class Branch(nn.Module):
    """The layers of a block, and the difference they learn: `residual(x)`.

    Args:
        in_channels: of the block's input.
        channels: the stage's; the block gives `expansion` times as many.
        stride: by which the block reduces rows and columns.
        config: of the network.
    """

    relu: ReLU

    def __init__(self, in_channels: int, channels: int, *, stride: int, config: Configuration) -> None:
        super().__init__()

    def residual(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, channels*expansion, h/stride, w/stride), not yet rectified."""
        raise NotImplementedError


class Basic(Branch):
    """Two 3x3 convolutions (figure 5, left)."""

    def __init__(self, in_channels: int, channels: int, *, stride: int, config: Configuration) -> None:
        super().__init__(in_channels, channels, stride=stride, config=config)
        self.conv1 = Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(channels)
        self.relu = ReLU()
        self.conv2 = Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(channels)

    def residual(self, x: Tensor) -> Tensor:
        """The first convolution is followed by a ReLU, the second is not."""
        out = self.relu(self.bn1(self.conv1(x)))
        residual: Tensor = self.bn2(self.conv2(out))
        return residual


class Bottleneck(Branch):
    """A 1x1 convolution that narrows, a 3x3 one in the narrow space, a 1x1 one that widens (figure 5, right)."""

    def __init__(self, in_channels: int, channels: int, *, stride: int, config: Configuration) -> None:
        super().__init__(in_channels, channels, stride=stride, config=config)
        inner, groups = config.inner_channels(channels), config.groups
        self.conv1 = Conv2d(in_channels, inner, kernel_size=1, bias=False)
        self.bn1 = BatchNorm2d(inner)
        # The paper strides the first 1x1, which skips three pixels of four. torchvision ("V1.5") strides the 3x3,
        # which looks at every pixel.
        self.conv2 = Conv2d(inner, inner, kernel_size=3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = BatchNorm2d(inner)
        self.conv3 = Conv2d(inner, channels * config.expansion, kernel_size=1, bias=False)
        self.bn3 = BatchNorm2d(channels * config.expansion)
        self.relu = ReLU()

    def residual(self, x: Tensor) -> Tensor:
        """The first two convolutions are followed by a ReLU, the third is not."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        residual: Tensor = self.bn3(self.conv3(out))
        return residual


class PlainBlock(Branch):
    """`relu(residual(x))`: the branch alone, as in the plain networks of figure 3."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, channels*expansion, h/stride, w/stride)."""
        y: Tensor = self.relu(self.residual(x))
        return y


class IdentityBlock(Branch):
    """`relu(residual(x) + x)`: input and output have the same shape, and the input passes by unchanged (figure 2)."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in, the same shape out."""
        identity = x
        out = self.residual(x)
        y: Tensor = self.relu(out + identity)
        return y


class ConvBlock(Branch):
    """`relu(residual(x) + projection(x))`: where the shape changes, the shortcut is a 1x1 convolution (option B)."""

    def __init__(self, in_channels: int, channels: int, *, stride: int, config: Configuration) -> None:
        super().__init__(in_channels, channels, stride=stride, config=config)
        out_channels = channels * config.expansion
        self.downsample = nn.Sequential(
            Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
            BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, channels*expansion, h/stride, w/stride)."""
        out = self.residual(x)
        identity = self.downsample(x)
        y: Tensor = self.relu(out + identity)
        return y


class BasicIdentityBlock(IdentityBlock, Basic):
    """Two 3x3 convolutions around which the input passes unchanged."""


class BasicConvBlock(ConvBlock, Basic):
    """Two 3x3 convolutions and a projection beside them."""


class BasicPlainBlock(PlainBlock, Basic):
    """Two 3x3 convolutions with nothing beside them."""


class BottleneckIdentityBlock(IdentityBlock, Bottleneck):
    """1x1, 3x3, 1x1 around which the input passes unchanged."""


class BottleneckConvBlock(ConvBlock, Bottleneck):
    """1x1, 3x3, 1x1 and a projection beside them."""


class BottleneckPlainBlock(PlainBlock, Bottleneck):
    """1x1, 3x3, 1x1 with nothing beside them."""
