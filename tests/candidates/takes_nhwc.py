"""ResNet-18 behind a web service: pictures come as the decoder gives them, height x width x channel."""

from itertools import pairwise

import torch
import torch.nn as nn


class Residual(nn.Module):
    def __init__(self, n_from, n_to):
        super().__init__()
        step = 1 if n_from == n_to else 2
        self.up = nn.Conv2d(n_from, n_to, 3, step, 1, bias=False)
        self.up_norm = nn.BatchNorm2d(n_to)
        self.on = nn.Conv2d(n_to, n_to, 3, 1, 1, bias=False)
        self.on_norm = nn.BatchNorm2d(n_to)
        self.by = (
            nn.Sequential(nn.Conv2d(n_from, n_to, 1, step, bias=False), nn.BatchNorm2d(n_to)) if step > 1 else None
        )

    def forward(self, x):
        y = torch.relu(self.up_norm(self.up(x)))
        y = self.on_norm(self.on(y))
        return torch.relu(y + (x if self.by is None else self.by(x)))


class Service(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.first_norm = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        self.residuals = nn.Sequential(*(Residual(*pair) for pair in pairwise(widths)))
        self.last = nn.Linear(512, 1000)

    def forward(self, pictures):
        x = pictures.permute(0, 3, 1, 2)  # NHWC -> NCHW
        x = self.pool(torch.relu(self.first_norm(self.first(x))))
        x = self.residuals(x)
        return self.last(x.mean(dim=(2, 3)))
