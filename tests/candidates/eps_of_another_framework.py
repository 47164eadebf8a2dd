"""Converted from a SavedModel: the defaults of batch normalisation came along."""

import torch
from torch import nn

BN = {"eps": 1e-3, "momentum": 0.01}


class ConvBN(nn.Module):
    def __init__(self, filters_in, filters, kernel_size, strides=1, activation=None):
        super().__init__()
        self.conv = nn.Conv2d(filters_in, filters, kernel_size, strides, kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(filters, **BN)
        self.activation = activation

    def forward(self, x):
        x = self.bn(self.conv(x))
        return x if self.activation is None else self.activation(x)


class BottleneckBlock(nn.Module):
    def __init__(self, filters_in, filters, strides, use_projection):
        super().__init__()
        self.projection = ConvBN(filters_in, 4 * filters, 1, strides) if use_projection else None
        self.conv_0 = ConvBN(filters_in, filters, 1, activation=torch.relu)
        self.conv_1 = ConvBN(filters, filters, 3, strides, activation=torch.relu)
        self.conv_2 = ConvBN(filters, 4 * filters, 1)

    def forward(self, inputs):
        shortcut = inputs if self.projection is None else self.projection(inputs)
        x = self.conv_2(self.conv_1(self.conv_0(inputs)))
        return torch.relu(x + shortcut)


class BlockGroup(nn.Sequential):
    def __init__(self, filters_in, filters, blocks, strides):
        super().__init__(BottleneckBlock(filters_in, filters, strides, use_projection=True))
        for _ in range(1, blocks):
            self.append(BottleneckBlock(4 * filters, filters, 1, use_projection=False))


class ResNet50(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.initial_conv = ConvBN(3, 64, 7, 2, activation=torch.relu)
        self.initial_max_pool = nn.MaxPool2d(3, 2, padding=1)
        self.block_group1 = BlockGroup(64, 64, blocks=3, strides=1)
        self.block_group2 = BlockGroup(256, 128, blocks=4, strides=2)
        self.block_group3 = BlockGroup(512, 256, blocks=6, strides=2)
        self.block_group4 = BlockGroup(1024, 512, blocks=3, strides=2)
        self.final_dense = nn.Linear(2048, num_classes)

    def forward(self, inputs):
        x = self.initial_max_pool(self.initial_conv(inputs))
        x = self.block_group1(x)
        x = self.block_group2(x)
        x = self.block_group3(x)
        x = self.block_group4(x)
        return self.final_dense(torch.mean(x, [2, 3]))
