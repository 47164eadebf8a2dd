"""Convolution as a sliding window and an einsum; batch norm as one scale and one shift per channel."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Conv(nn.Module):
    def __init__(self, c_in, c_out, size, step=1):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, size, size) * 0.05)
        self.size, self.step, self.pad = size, step, size // 2

    def forward(self, x):
        x = F.pad(x, (self.pad,) * 4)
        windows = x.unfold(2, self.size, self.step).unfold(3, self.size, self.step)
        return torch.einsum("nchwij,ocij->nohw", windows, self.weight)


class Affine(nn.Module):
    """Batch norm at inference time is nothing else."""

    def __init__(self, c, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(c))
        self.bias = nn.Parameter(torch.zeros(c))
        self.register_buffer("running_mean", torch.zeros(c))
        self.register_buffer("running_var", torch.ones(c))

    def forward(self, x):
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)


class Max3(nn.Module):
    def forward(self, x):
        x = F.pad(x, (1, 1, 1, 1), value=float("-inf"))
        return x.unfold(2, 3, 2).unfold(3, 3, 2).amax(dim=(-1, -2))


class Block(nn.Module):
    def __init__(self, c_in, c_out, step):
        super().__init__()
        self.conv1, self.bn1 = Conv(c_in, c_out, 3, step), Affine(c_out)
        self.conv2, self.bn2 = Conv(c_out, c_out, 3), Affine(c_out)
        self.downsample = nn.Sequential(Conv(c_in, c_out, 1, step), Affine(c_out)) if step > 1 else None

    def forward(self, x):
        y = torch.maximum(self.bn1(self.conv1(x)), torch.zeros(()))
        y = self.bn2(self.conv2(y))
        if self.downsample is not None:
            x = self.downsample(x)
        return torch.maximum(x + y, torch.zeros(()))


class EinsumResNet18(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        self.conv1, self.bn1, self.maxpool = Conv(3, 64, 7, 2), Affine(64), Max3()
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = self.maxpool(torch.maximum(self.bn1(self.conv1(x)), torch.zeros(())))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.einsum("nchw->nc", x) / (x.shape[-1] * x.shape[-2]))
