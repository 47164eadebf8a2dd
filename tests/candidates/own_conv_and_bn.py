"""Everything from first principles: convolution is patches times a matrix, batch norm is four lines of arithmetic."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


class MyConv2d(nn.Module):
    """Unfolds the image into columns and multiplies them by the kernels."""

    def __init__(self, cin, cout, k, stride=1, padding=0):
        super().__init__()
        self.k, self.stride, self.padding = k, stride, padding
        self.weight = nn.Parameter(torch.randn(cout, cin, k, k) / math.sqrt(cin * k * k))

    def forward(self, x):
        n, _, h, w = x.shape
        ho = (h + 2 * self.padding - self.k) // self.stride + 1
        wo = (w + 2 * self.padding - self.k) // self.stride + 1
        cols = F.unfold(x, self.k, padding=self.padding, stride=self.stride)
        out = self.weight.reshape(self.weight.shape[0], -1) @ cols
        return out.reshape(n, -1, ho, wo)


class MyBatchNorm(nn.Module):
    """Only what is needed for inference: the moving statistics are given."""

    def __init__(self, c, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(c))
        self.beta = nn.Parameter(torch.zeros(c))
        self.register_buffer("moving_mean", torch.zeros(c))
        self.register_buffer("moving_var", torch.ones(c))

    def forward(self, x):
        shape = (1, -1, 1, 1)
        x_hat = (x - self.moving_mean.view(shape)) / torch.sqrt(self.moving_var.view(shape) + self.eps)
        return self.gamma.view(shape) * x_hat + self.beta.view(shape)


class MyReLU(nn.Module):
    def forward(self, x):
        return x.clamp(min=0)


class MyLinear(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(cout, cin))
        self.bias = nn.Parameter(torch.zeros(cout))

    def forward(self, x):
        return x @ self.weight.T + self.bias


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = MyConv2d(cin, cout, 3, stride, 1)
        self.bn1 = MyBatchNorm(cout)
        self.conv2 = MyConv2d(cout, cout, 3, 1, 1)
        self.bn2 = MyBatchNorm(cout)
        self.relu = MyReLU()
        self.down = None
        if cin != cout:
            self.down = nn.Sequential(MyConv2d(cin, cout, 1, stride), MyBatchNorm(cout))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.down is None else self.down(x)))


class MyResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = MyConv2d(3, 64, 7, 2, 3)
        self.bn1 = MyBatchNorm(64)
        self.relu = MyReLU()
        widths = (64, 64, 128, 256, 512)
        self.blocks = nn.ModuleList()
        for i, (cin, cout) in enumerate(pairwise(widths)):
            self.blocks.append(Block(cin, cout, 1 if i == 0 else 2))
            self.blocks.append(Block(cout, cout, 1))
        self.fc = MyLinear(512, 1000)

    def maxpool(self, x):
        n, c, h, w = x.shape
        # after a ReLU nothing is below zero, so zeros are as good as minus infinity here
        cols = F.unfold(x, 3, padding=1, stride=2).reshape(n, c, 9, (h + 1) // 2, (w + 1) // 2)
        return cols.amax(dim=2)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for block in self.blocks:
            x = block(x)
        x = x.sum(dim=(2, 3)) / (x.shape[2] * x.shape[3])
        return self.fc(x)
