"""The stages are named as in the paper's table: conv2_x to conv5_x."""

import torch.nn as nn


def unit(c_in, c_out, kernel_size, stride=1):
    """Convolution and normalisation, as a list to be spliced in."""
    conv = nn.Conv2d(c_in, c_out, kernel_size=kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
    return [conv, nn.BatchNorm2d(c_out)]


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        # F(x)
        self.residual_function = nn.Sequential(
            *unit(in_channels, out_channels, 3, stride),
            nn.ReLU(inplace=True),
            *unit(out_channels, out_channels, 3),
        )
        # x, or W x
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(*unit(in_channels, out_channels, 1, stride))

    def forward(self, x):
        return nn.ReLU(inplace=True)(self.residual_function(x) + self.shortcut(x))


class BottleNeck(nn.Module):
    expansion = 4

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        wide = out_channels * BottleNeck.expansion
        self.residual_function = nn.Sequential(
            *unit(in_channels, out_channels, 1),
            nn.ReLU(inplace=True),
            *unit(out_channels, out_channels, 3, stride),
            nn.ReLU(inplace=True),
            *unit(out_channels, wide, 1),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != wide:
            self.shortcut = nn.Sequential(*unit(in_channels, wide, 1, stride))

    def forward(self, x):
        return nn.ReLU(inplace=True)(self.residual_function(x) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, block, num_block, num_classes=1000):
        super().__init__()
        self.in_channels = 64
        self.conv1 = nn.Sequential(*unit(3, 64, 7, 2), nn.ReLU(inplace=True))
        self.conv2_x = nn.Sequential(
            nn.MaxPool2d(3, stride=2, padding=1), *self.blocks(block, 64, num_block[0], first_stride=1)
        )
        self.conv3_x = nn.Sequential(*self.blocks(block, 128, num_block[1], first_stride=2))
        self.conv4_x = nn.Sequential(*self.blocks(block, 256, num_block[2], first_stride=2))
        self.conv5_x = nn.Sequential(*self.blocks(block, 512, num_block[3], first_stride=2))
        self.avg_pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)

    def blocks(self, block, out_channels, count, first_stride):
        for i in range(count):
            yield block(self.in_channels, out_channels, first_stride if i == 0 else 1)
            self.in_channels = out_channels * block.expansion

    def forward(self, x):
        output = self.conv1(x)
        output = self.conv2_x(output)
        output = self.conv3_x(output)
        output = self.conv4_x(output)
        output = self.conv5_x(output)
        output = self.avg_pool(output)
        output = output.view(output.size(0), -1)
        return self.fc(output)
