"""Backbone for dense prediction: the last stage keeps its resolution and dilates instead."""

import torch.nn as nn


class Bottleneck(nn.Module):
    def __init__(self, inplanes, planes, stride=1, dilation=1, has_projection=False):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * 4)
        self.relu = nn.ReLU(inplace=True)
        self.projection = None
        if has_projection:
            self.projection = nn.Sequential(
                nn.Conv2d(inplanes, planes * 4, 1, stride, bias=False), nn.BatchNorm2d(planes * 4)
            )

    def forward(self, x):
        identity = x if self.projection is None else self.projection(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return self.relu(x + identity)


class OutputStride16(nn.Module):
    strides = (1, 2, 2, 1)
    dilations = (1, 1, 1, 2)

    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.inplanes = 64
        self.stages = nn.ModuleList(
            self.make_stage(64 * 2**i, n, self.strides[i], self.dilations[i]) for i, n in enumerate((3, 4, 6, 3))
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(2048, num_classes)

    def make_stage(self, planes, count, stride, dilation):
        # the first block of a dilated stage still looks at direct neighbours
        stage = [Bottleneck(self.inplanes, planes, stride, 1, has_projection=True)]
        self.inplanes = planes * 4
        stage += [Bottleneck(self.inplanes, planes, 1, dilation) for _ in range(count - 1)]
        return nn.Sequential(*stage)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = stage(x)
        return self.classifier(self.avgpool(x).flatten(1))
