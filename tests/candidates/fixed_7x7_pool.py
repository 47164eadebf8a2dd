"""Early ResNet-18 for pictures of 224x224 and no others: the last pooling has a fixed window."""

import math

import torch.nn as nn


def three_by_three(n_in, n_out, stride=1):
    return nn.Conv2d(n_in, n_out, kernel_size=3, stride=stride, padding=1, bias=False)


class Plain(nn.Module):
    def __init__(self, n_in, n_out, stride=1, resize=None):
        super().__init__()
        self.conv1 = three_by_three(n_in, n_out, stride)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = three_by_three(n_out, n_out)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.rectify = nn.ReLU(inplace=True)
        self.resize = resize

    def forward(self, x):
        kept = x
        x = self.conv1(x)
        x = self.norm1(x)
        x = self.rectify(x)
        x = self.conv2(x)
        x = self.norm2(x)
        if self.resize is not None:
            kept = self.resize(kept)
        x += kept
        return self.rectify(x)


class ResNet224(nn.Module):
    def __init__(self, counts, classes=1000):
        super().__init__()
        self.width = 64
        self.stem = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm2d(64)
        self.rectify = nn.ReLU(inplace=True)
        self.shrink = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.group1 = self.group(64, counts[0], 1)
        self.group2 = self.group(128, counts[1], 2)
        self.group3 = self.group(256, counts[2], 2)
        self.group4 = self.group(512, counts[3], 2)
        self.average = nn.AvgPool2d(7, stride=1)  # 224 / 32
        self.classify = nn.Linear(512, classes)
        self.initialise()

    def initialise(self):
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))

    def group(self, width, count, stride):
        resize = None
        if stride != 1:
            resize = nn.Sequential(nn.Conv2d(self.width, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))
        blocks = [Plain(self.width, width, stride, resize)]
        blocks.extend(Plain(width, width) for _ in range(count - 1))
        self.width = width
        return nn.Sequential(*blocks)

    def forward(self, x):
        x = self.shrink(self.rectify(self.stem_norm(self.stem(x))))
        x = self.group4(self.group3(self.group2(self.group1(x))))
        x = self.average(x)
        return self.classify(x.view(-1, 512))
