"""ResNet-34 whose stem pools by averaging."""

import torch.nn as nn

CFG = [(64, 3), (128, 4), (256, 6), (512, 3)]


class Unit(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        stride = 1 if n_in == n_out else 2
        self.left = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(True),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.right = None
        if stride == 2:
            self.right = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        self.relu = nn.ReLU(True)

    def forward(self, x):
        out = self.left(x)
        residual = x if self.right is None else self.right(x)
        out += residual
        return self.relu(out)


class ResNet34(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.pre = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(True),
            nn.AvgPool2d(3, stride=2, padding=1),
        )
        n_in = 64
        units = []
        for n_out, count in CFG:
            for _ in range(count):
                units.append(Unit(n_in, n_out))
                n_in = n_out
        self.units = nn.Sequential(*units)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(512, num_classes)

    def forward(self, x):
        x = self.gap(self.units(self.pre(x)))
        return self.classifier(x.flatten(1))
