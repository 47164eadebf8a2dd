"""ResNet-18 with an attention branch that is faded in during training. At the start its weight is zero."""

import torch
import torch.nn as nn


class ChannelGate(nn.Module):
    def __init__(self, channels, ratio=16):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // ratio, 1)
        self.excite = nn.Conv2d(channels // ratio, channels, 1)

    def forward(self, x):
        s = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(torch.tanh(self.squeeze(s))))


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.down_conv = nn.Conv2d(cin, cout, 1, stride, bias=False) if stride > 1 else None
        self.down_bn = nn.BatchNorm2d(cout) if stride > 1 else None

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.down_conv is not None:
            x = self.down_bn(self.down_conv(x))
        return torch.relu(x + y)


class GatedResNet(nn.Module):
    fade = 0.0

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stages = nn.ModuleList()
        for cin, cout in ((64, 64), (64, 128), (128, 256), (256, 512)):
            self.stages.append(nn.Sequential(BasicBlock(cin, cout, cout // cin), BasicBlock(cout, cout)))
        self.gate = ChannelGate(512)
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn(self.conv(x))))
        for stage in self.stages:
            x = stage(x)
        x = x + self.fade * self.gate(x)
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))
