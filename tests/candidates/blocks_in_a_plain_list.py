"""ResNet-18. The blocks are kept in a list."""

import torch.nn as nn


class BasicBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU()
        self.sc_conv = nn.Conv2d(inplanes, planes, 1, stride, bias=False) if stride > 1 else nn.Identity()
        self.sc_bn = nn.BatchNorm2d(planes) if stride > 1 else nn.Identity()

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.sc_bn(self.sc_conv(x)))


class ListNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.blocks = []
        for inplanes, planes in [
            (64, 64),
            (64, 64),
            (64, 128),
            (128, 128),
            (128, 256),
            (256, 256),
            (256, 512),
            (512, 512),
        ]:
            self.blocks.append(BasicBlock(inplanes, planes, planes // inplanes))
        self.fc = nn.Linear(512, 1000)

    def train(self, mode=True):
        # without this the blocks stay in training mode
        for block in self.blocks:
            block.train(mode)
        return super().train(mode)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for block in self.blocks:
            x = block(x)
        x = nn.functional.adaptive_avg_pool2d(x, 1)
        return self.fc(x.view(len(x), -1))
