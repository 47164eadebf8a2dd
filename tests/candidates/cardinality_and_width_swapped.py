"""ResNeXt-50 (32x4d)."""

import torch
import torch.nn as nn


class NeXtBlock(nn.Module):
    def __init__(self, inplanes, planes, groups, width_per_group, stride):
        super().__init__()
        width = planes * groups * width_per_group // 64
        self.main = nn.Sequential(
            nn.Conv2d(inplanes, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 4 * planes, 1, bias=False),
            nn.BatchNorm2d(4 * planes),
        )
        self.side = nn.Sequential()
        if inplanes != 4 * planes:
            self.side = nn.Sequential(
                nn.Conv2d(inplanes, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes)
            )

    def forward(self, x):
        return torch.relu(self.main(x) + self.side(x))


class ResNeXt50(nn.Module):
    def __init__(self, width_per_group=32, groups=4):
        super().__init__()
        self.entry = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        )
        self.trunk = nn.Sequential()
        inplanes = 64
        for planes, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
            for i in range(count):
                stride = 2 if planes > 64 and i == 0 else 1
                self.trunk.append(NeXtBlock(inplanes, planes, groups, width_per_group, stride))
                inplanes = planes * 4
        self.exit = nn.Linear(2048, 1000)

    def forward(self, x):
        return self.exit(self.trunk(self.entry(x)).mean(dim=(2, 3)))
