"""ResNet-18. Fails in the second stage, and I do not see why."""

import torch.nn as nn


class BasicBlock(nn.Module):
    def __init__(self, in_c, out_c, s):
        super().__init__()
        self.conv1 = nn.Conv2d(in_c, out_c, 3, stride=s, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_c)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(out_c, out_c, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_c)
        if in_c != out_c:
            self.proj = nn.Sequential(nn.Conv2d(in_c, out_c, 1, bias=False), nn.BatchNorm2d(out_c))
        else:
            self.proj = nn.Identity()

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y = y + self.proj(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self, n_out=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.conv3 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.conv4 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.conv5 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, n_out)

    def forward(self, x):
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        x = self.conv5(self.conv4(self.conv3(self.conv2(x))))
        return self.fc(self.gap(x).flatten(1))
