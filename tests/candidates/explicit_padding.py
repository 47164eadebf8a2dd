"""All padding by hand, as on the board: nothing is hidden in a `padding=` argument."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class PaddedBasicBlock(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, padding=0, bias=False)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, padding=0, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(cout), nn.BatchNorm2d(cout)
        if stride > 1:
            self.conv_id = nn.Conv2d(cin, cout, 1, stride, padding=0, bias=False)
            self.norm_id = nn.BatchNorm2d(cout)
        self.stride = stride

    def forward(self, x):
        y = F.pad(x, (1, 1, 1, 1))
        y = self.conv1(y)
        y = self.norm1(y)
        y = torch.clamp_min(y, 0)
        y = F.pad(y, [1, 1, 1, 1], mode="constant", value=0.0)
        y = self.conv2(y)
        y = self.norm2(y)
        if self.stride > 1:
            x = self.conv_id(x)
            x = self.norm_id(x)
        return torch.clamp_min(x + y, 0)


class BoardResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, 2, bias=False)
        self.norm = nn.BatchNorm2d(64)
        self.blocks = nn.Sequential(
            PaddedBasicBlock(64, 64),
            PaddedBasicBlock(64, 64),
            PaddedBasicBlock(64, 128, stride=2),
            PaddedBasicBlock(128, 128),
            PaddedBasicBlock(128, 256, stride=2),
            PaddedBasicBlock(256, 256),
            PaddedBasicBlock(256, 512, stride=2),
            PaddedBasicBlock(512, 512),
        )
        self.out = nn.Linear(512, 1000)

    def forward(self, x):
        x = self.conv(F.pad(x, (3, 3, 3, 3)))
        x = torch.clamp_min(self.norm(x), 0)
        x = F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=float("-inf")), 3, 2)
        x = self.blocks(x)
        x = F.avg_pool2d(x, kernel_size=x.shape[2:])
        return self.out(x.view(x.shape[0], x.shape[1]))
