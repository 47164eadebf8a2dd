"""ResNet-50 after the paper: the first 1x1 of a stage does the downsampling."""

import torch
import torch.nn as nn


class Bottleneck(nn.Module):
    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.reduce = nn.Conv2d(in_planes, planes, 1, stride=stride, bias=False)
        self.bn_reduce = nn.BatchNorm2d(planes)
        self.spatial = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn_spatial = nn.BatchNorm2d(planes)
        self.expand = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn_expand = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        if stride != 1 or in_planes != 4 * planes:
            self.project = nn.Conv2d(in_planes, 4 * planes, 1, stride=stride, bias=False)
            self.bn_project = nn.BatchNorm2d(4 * planes)
        else:
            self.project = None

    def forward(self, x):
        y = self.relu(self.bn_reduce(self.reduce(x)))
        y = self.relu(self.bn_spatial(self.spatial(y)))
        y = self.bn_expand(self.expand(y))
        if self.project is not None:
            x = self.bn_project(self.project(x))
        return self.relu(y + x)


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        )
        in_planes = 64
        stages = []
        for planes, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            stage = []
            for i in range(blocks):
                stage.append(Bottleneck(in_planes, planes, stride if i == 0 else 1))
                in_planes = 4 * planes
            stages.append(nn.Sequential(*stage))
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(2048, 1000)

    def forward(self, x):
        x = self.stages(self.stem(x))
        return self.classifier(torch.nn.functional.adaptive_avg_pool2d(x, (1, 1)).squeeze(3).squeeze(2))
