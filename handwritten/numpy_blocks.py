"""The residual blocks in NumPy: a branch that learns a difference, and a shortcut around it.

A block is one of two branches (`Basic`, `Bottleneck`) joined with one of two shortcuts (`IdentityBlock`, `ConvBlock`),
or with none (`PlainBlock`), as in `torch_blocks`; the addition is a layer here, so that it can be watched.

Source: He et al., "Deep Residual Learning for Image Recognition", 2015, figures 2 and 5.
"""

from __future__ import annotations

from layerdiff.handwritten.configurations import Configuration
from layerdiff.handwritten.numpy_layers import Add, BatchNorm2d, Conv2d, Layer, ReLU, Sequential
from layerdiff.handwritten.numpy_ops import Grade
from layerdiff.handwritten.numpy_ops._arrays import Array

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


class Branch(Layer):
    """The layers of a block, and the difference they learn: `residual(x)`.

    Args:
        in_channels: of the block's input.
        channels: the stage's; the block gives `expansion` times as many.
        stride: by which the block reduces rows and columns.
        config: of the network.
        grade: of the convolutions.
    """

    relu: ReLU

    def __init__(self, in_channels: int, channels: int, *, stride: int, config: Configuration, grade: Grade) -> None:
        super().__init__()

    def residual(self, x: Array) -> Array:
        """(n, in_channels, h, w) to (n, channels*expansion, h/stride, w/stride), not yet rectified."""
        raise NotImplementedError


class Basic(Branch):
    """Two 3x3 convolutions (figure 5, left)."""

    def __init__(self, in_channels: int, channels: int, *, stride: int, config: Configuration, grade: Grade) -> None:
        super().__init__(in_channels, channels, stride=stride, config=config, grade=grade)
        self.conv1 = Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False, grade=grade)
        self.bn1 = BatchNorm2d(channels)
        self.relu = ReLU()
        self.conv2 = Conv2d(channels, channels, 3, padding=1, bias=False, grade=grade)
        self.bn2 = BatchNorm2d(channels)

    def residual(self, x: Array) -> Array:
        """The first convolution is followed by a ReLU, the second is not."""
        out = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(out))


class Bottleneck(Branch):
    """A 1x1 convolution that narrows, a 3x3 one in the narrow space, a 1x1 one that widens (figure 5, right)."""

    def __init__(self, in_channels: int, channels: int, *, stride: int, config: Configuration, grade: Grade) -> None:
        super().__init__(in_channels, channels, stride=stride, config=config, grade=grade)
        inner, groups = config.inner_channels(channels), config.groups
        self.conv1 = Conv2d(in_channels, inner, 1, bias=False, grade=grade)
        self.bn1 = BatchNorm2d(inner)
        # The stride sits on the 3x3, not on the first 1x1 as in the paper: see `torch_blocks.Bottleneck`.
        self.conv2 = Conv2d(inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False, grade=grade)
        self.bn2 = BatchNorm2d(inner)
        self.conv3 = Conv2d(inner, channels * config.expansion, 1, bias=False, grade=grade)
        self.bn3 = BatchNorm2d(channels * config.expansion)
        self.relu = ReLU()

    def residual(self, x: Array) -> Array:
        """The first two convolutions are followed by a ReLU, the third is not."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.bn3(self.conv3(out))


class PlainBlock(Branch):
    """`relu(residual(x))`: the branch alone, as in the plain networks of figure 3."""

    def forward(self, x: Array) -> Array:
        """(n, in_channels, h, w) to (n, channels*expansion, h/stride, w/stride)."""
        return self.relu(self.residual(x))


class Shortcut(Branch):
    """A branch to whose output something is added."""

    def __init__(self, in_channels: int, channels: int, *, stride: int, config: Configuration, grade: Grade) -> None:
        super().__init__(in_channels, channels, stride=stride, config=config, grade=grade)
        self.add = Add()


class IdentityBlock(Shortcut):
    """`relu(residual(x) + x)`: input and output have the same shape, and the input passes by unchanged (figure 2)."""

    def forward(self, x: Array) -> Array:
        """(n, c, h, w) in, the same shape out."""
        identity = x
        out = self.residual(x)
        return self.relu(self.add(out, identity))


class ConvBlock(Shortcut):
    """`relu(residual(x) + projection(x))`: where the shape changes, the shortcut is a 1x1 convolution (option B)."""

    def __init__(self, in_channels: int, channels: int, *, stride: int, config: Configuration, grade: Grade) -> None:
        super().__init__(in_channels, channels, stride=stride, config=config, grade=grade)
        out_channels = channels * config.expansion
        self.downsample = Sequential(
            Conv2d(in_channels, out_channels, 1, stride=stride, bias=False, grade=grade),
            BatchNorm2d(out_channels),
        )

    def forward(self, x: Array) -> Array:
        """(n, in_channels, h, w) to (n, channels*expansion, h/stride, w/stride)."""
        out = self.residual(x)
        identity = self.downsample(x)
        return self.relu(self.add(out, identity))


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
