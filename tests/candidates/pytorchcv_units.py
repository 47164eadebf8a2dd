"""Model-zoo style: conv blocks, bodies, units, a stem called init_block, and `features` / `output`."""

import torch.nn as nn


class ConvBlock(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, activate=True):
        super().__init__()
        self.activate = activate
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        if self.activate:
            self.activ = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.conv(x)
        x = self.bn(x)
        if self.activate:
            x = self.activ(x)
        return x


def conv1x1_block(in_channels, out_channels, stride=1, activate=True):
    return ConvBlock(in_channels, out_channels, 1, stride, 0, activate)


def conv3x3_block(in_channels, out_channels, stride=1, activate=True):
    return ConvBlock(in_channels, out_channels, 3, stride, 1, activate)


class ResBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv1 = conv3x3_block(in_channels, out_channels, stride)
        self.conv2 = conv3x3_block(out_channels, out_channels, activate=False)

    def forward(self, x):
        return self.conv2(self.conv1(x))


class ResBottleneck(nn.Module):
    def __init__(self, in_channels, out_channels, stride, bottleneck_factor=4):
        super().__init__()
        mid_channels = out_channels // bottleneck_factor
        self.conv1 = conv1x1_block(in_channels, mid_channels)
        self.conv2 = conv3x3_block(mid_channels, mid_channels, stride)
        self.conv3 = conv1x1_block(mid_channels, out_channels, activate=False)

    def forward(self, x):
        return self.conv3(self.conv2(self.conv1(x)))


class ResUnit(nn.Module):
    def __init__(self, in_channels, out_channels, stride, bottleneck):
        super().__init__()
        self.resize_identity = in_channels != out_channels or stride != 1
        body = ResBottleneck if bottleneck else ResBlock
        self.body = body(in_channels, out_channels, stride)
        if self.resize_identity:
            self.identity_conv = conv1x1_block(in_channels, out_channels, stride, activate=False)
        self.activ = nn.ReLU(inplace=True)

    def forward(self, x):
        identity = self.identity_conv(x) if self.resize_identity else x
        x = self.body(x)
        x = x + identity
        return self.activ(x)


class ResInitBlock(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = ConvBlock(in_channels, out_channels, 7, 2, 3)
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

    def forward(self, x):
        return self.pool(self.conv(x))


class ResNet(nn.Module):
    def __init__(self, blocks, num_classes=1000):
        layers = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}[blocks]
        bottleneck = blocks >= 50
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("init_block", ResInitBlock(3, 64))
        in_channels = 64
        for i, count in enumerate(layers):
            out_channels = 64 * 2**i * (4 if bottleneck else 1)
            stage = nn.Sequential()
            for j in range(count):
                stride = 2 if j == 0 and i != 0 else 1
                stage.add_module(f"unit{j + 1}", ResUnit(in_channels, out_channels, stride, bottleneck))
                in_channels = out_channels
            self.features.add_module(f"stage{i + 1}", stage)
        self.features.add_module("final_pool", nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(in_channels, num_classes)

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        return self.output(x)
