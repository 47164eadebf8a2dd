"""ResNet-34 for CIFAR. It needs 32x32 pictures: the head averages 4x4 and expects nothing to be left over."""

import torch.nn as nn
import torch.nn.functional as F


def conv3x3(cin, cout, stride=1):
    return nn.Conv2d(cin, cout, 3, stride, 1, bias=False)


class Unit(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.norm1 = conv3x3(cin, cout, stride), nn.BatchNorm2d(cout)
        self.conv2, self.norm2 = conv3x3(cout, cout), nn.BatchNorm2d(cout)
        self.short = nn.ModuleList()
        if stride == 2:
            self.short.extend([nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)])

    def forward(self, x):
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        for layer in self.short:
            x = layer(x)
        return F.relu(x + out)


class Cifar34(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1, self.norm1 = conv3x3(3, 64), nn.BatchNorm2d(64)
        self.units = nn.Sequential()
        cin = 64
        for cout, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
            for _ in range(count):
                self.units.append(Unit(cin, cout, cout // cin))
                cin = cout
        self.linear = nn.Linear(512, num_classes)

    def forward(self, x):
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.units(out)
        out = F.avg_pool2d(out, 4)
        out = out.flatten(1)
        return self.linear(out)
