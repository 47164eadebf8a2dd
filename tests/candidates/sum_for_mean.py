"""ResNet-34; global pooling by a sum over the map."""

import torch
from torch import nn


class Add(nn.Module):
    def forward(self, a, b):
        return torch.add(a, b)


class Block(nn.Module):
    def __init__(self, d_in, d, s):
        super().__init__()
        self.a = nn.Conv2d(d_in, d, 3, s, 1, bias=False)
        self.a_bn = nn.BatchNorm2d(d)
        self.a_relu = nn.ReLU(inplace=True)
        self.b = nn.Conv2d(d, d, 3, 1, 1, bias=False)
        self.b_bn = nn.BatchNorm2d(d)
        self.add = Add()
        self.relu = nn.ReLU(inplace=True)
        if d_in != d:
            self.proj = nn.Conv2d(d_in, d, 1, s, bias=False)
            self.proj_bn = nn.BatchNorm2d(d)
        else:
            self.proj, self.proj_bn = nn.Identity(), nn.Identity()

    def forward(self, x):
        h = self.a_relu(self.a_bn(self.a(x)))
        h = self.b_bn(self.b(h))
        return self.relu(self.add(h, self.proj_bn(self.proj(x))))


class GlobalPool(nn.Module):
    def forward(self, x):
        return x.sum(dim=(2, 3), keepdim=True)


class Net34(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.stem_bn = nn.BatchNorm2d(64)
        self.stem_relu = nn.ReLU(inplace=True)
        self.stem_pool = nn.MaxPool2d(3, 2, 1)
        d_in = 64
        for i, (d, n) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
            for j in range(n):
                self.add_module(f"res{i}{j}", Block(d_in, d, 2 if i and not j else 1))
                d_in = d
        self.pool = GlobalPool()
        self.flat = nn.Flatten()
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        for module in self.children():
            x = module(x)
        return x
