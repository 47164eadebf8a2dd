"""ResNet-50. The projection only has to fit the shapes, so it is a bare convolution."""

import torch.nn as nn
import torch.nn.functional as F


class Bottle(nn.Module):
    def __init__(self, nin, nmid, stride=1):
        super().__init__()
        nout = nmid * 4
        self.conv1, self.norm1 = nn.Conv2d(nin, nmid, 1, bias=False), nn.BatchNorm2d(nmid)
        self.conv2, self.norm2 = nn.Conv2d(nmid, nmid, 3, stride, 1, bias=False), nn.BatchNorm2d(nmid)
        self.conv3, self.norm3 = nn.Conv2d(nmid, nout, 1, bias=False), nn.BatchNorm2d(nout)
        self.fit = nn.Identity()
        if nin != nout:
            self.fit = nn.Conv2d(nin, nout, 1, stride, bias=False)

    def forward(self, x):
        h = F.relu(self.norm1(self.conv1(x)))
        h = F.relu(self.norm2(self.conv2(h)))
        h = self.norm3(self.conv3(h))
        return F.relu(h + self.fit(x))


class BottleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.bottles = nn.Sequential(*self.make((64, 3), (128, 4), (256, 6), (512, 3)))
        self.top = nn.Linear(2048, 1000)

    @staticmethod
    def make(*groups):
        nin = 64
        for nmid, count in groups:
            for i in range(count):
                yield Bottle(nin, nmid, 2 if nmid > 64 and i == 0 else 1)
                nin = nmid * 4

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        x = self.bottles(x)
        return self.top(F.adaptive_avg_pool2d(x, 1).flatten(1))
