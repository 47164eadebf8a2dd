"""Object-oriented to a fault: an abstract block, a template method, a subclass for each depth."""

from abc import ABC, abstractmethod

import torch.nn as nn


class ResidualBlock(nn.Module, ABC):
    """What all blocks do; what is between the two ends is for subclasses to say."""

    expansion: int

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        self.in_channels, self.channels, self.stride = in_channels, channels, stride
        self.out_channels = channels * self.expansion
        self.residual = self.build_residual()
        self.shortcut = self.build_shortcut() if self.needs_shortcut else None
        self.activation = self.build_activation()

    @property
    def needs_shortcut(self):
        return self.stride != 1 or self.in_channels != self.out_channels

    @abstractmethod
    def build_residual(self):
        """The layers whose output is added."""

    def build_shortcut(self):
        return self.conv_bn(self.in_channels, self.out_channels, 1, self.stride)

    def build_activation(self):
        return nn.ReLU(inplace=True)

    @staticmethod
    def conv_bn(cin, cout, k, stride=1):
        return nn.Sequential(nn.Conv2d(cin, cout, k, stride, k // 2, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return self.activation(self.residual(x) + shortcut)


class BasicBlock(ResidualBlock):
    expansion = 1

    def build_residual(self):
        first = self.conv_bn(self.in_channels, self.channels, 3, self.stride)
        return nn.Sequential(first, self.build_activation(), self.conv_bn(self.channels, self.channels, 3))


class BottleneckBlock(ResidualBlock):
    expansion = 4

    def build_residual(self):
        return nn.Sequential(
            self.conv_bn(self.in_channels, self.channels, 1),
            self.build_activation(),
            self.conv_bn(self.channels, self.channels, 3, self.stride),
            self.build_activation(),
            self.conv_bn(self.channels, self.out_channels, 1),
        )


class ResNetBase(nn.Module):
    block_type = None
    repetitions = ()

    def __init__(self, num_classes=1000):
        super().__init__()
        self.stem = self.build_stem()
        self.stages, channels = self.build_stages()
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(channels, num_classes))

    def build_stem(self):
        return nn.Sequential(ResidualBlock.conv_bn(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))

    def build_stages(self):
        channels, stages = 64, []
        for i, repetition in enumerate(self.repetitions):
            for j in range(repetition):
                stages.append(self.block_type(channels, 64 * 2**i, 2 if i and j == 0 else 1))
                channels = stages[-1].out_channels
        return nn.Sequential(*stages), channels

    def forward(self, x):
        return self.head(self.stages(self.stem(x)))


class ResNet18(ResNetBase):
    block_type = BasicBlock
    repetitions = (2, 2, 2, 2)


class ResNet50(ResNetBase):
    block_type = BottleneckBlock
    repetitions = (3, 4, 6, 3)


class ResNet101(ResNet50):
    repetitions = (3, 4, 23, 3)

    def forward(self, x):
        return super().forward(x)
