"""ResNet-50 whose head still has the width of a VGG."""

import torch
import torch.nn as nn


class Unit(nn.Module):
    def __init__(self, c_in, c_mid, stride=1):
        super().__init__()
        c_out = c_mid * 4
        self.a, self.a_norm = nn.Conv2d(c_in, c_mid, 1, bias=False), nn.BatchNorm2d(c_mid)
        self.b, self.b_norm = nn.Conv2d(c_mid, c_mid, 3, stride, 1, bias=False), nn.BatchNorm2d(c_mid)
        self.c, self.c_norm = nn.Conv2d(c_mid, c_out, 1, bias=False), nn.BatchNorm2d(c_out)
        self.s = self.s_norm = None
        if c_in != c_out:
            self.s, self.s_norm = nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)

    def forward(self, x):
        h = torch.relu_(self.a_norm(self.a(x)))
        h = torch.relu_(self.b_norm(self.b(h)))
        h = self.c_norm(self.c(h))
        return torch.relu_(h.add_(x if self.s is None else self.s_norm(self.s(x))))


class Headed(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(512 * 7 * 7, 1000)
        self.stem, self.stem_norm = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        units, c_in = [], 64
        for c_mid, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
            for i in range(count):
                units.append(Unit(c_in, c_mid, 2 if i == 0 and c_mid > 64 else 1))
                c_in = c_mid * 4
        self.units = nn.Sequential(*units)

    def forward(self, x):
        x = torch.relu_(self.stem_norm(self.stem(x)))
        x = self.units(torch.max_pool2d(x, 3, 2, 1))
        x = torch.nn.functional.adaptive_avg_pool2d(x, 1)
        return self.head(torch.flatten(x, 1))
