"""Classifier with a light regulariser before the last layer."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv_a = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.norm_a = nn.BatchNorm2d(cout)
        self.conv_b = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.norm_b = nn.BatchNorm2d(cout)
        if stride == 2:
            self.conv_s = nn.Conv2d(cin, cout, 1, stride, bias=False)
            self.norm_s = nn.BatchNorm2d(cout)

    def forward(self, x):
        y = F.relu(self.norm_a(self.conv_a(x)), inplace=True)
        y = self.norm_b(self.conv_b(y))
        if hasattr(self, "conv_s"):
            x = self.norm_s(self.conv_s(x))
        return F.relu(torch.add(x, y), inplace=True)


class PetClassifier(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        self.conv_0 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm_0 = nn.BatchNorm2d(64)
        self.blocks = nn.ModuleList()
        for cin, cout in [(64, 64), (64, 128), (128, 256), (256, 512)]:
            self.blocks.append(Block(cin, cout, 1 if cin == cout else 2))
            self.blocks.append(Block(cout, cout))
        self.out = nn.Linear(512, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm_0(self.conv_0(x))), 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        x = F.dropout(x, 0.5)
        return self.out(x)
