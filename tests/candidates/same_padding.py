"""ResNet-18 with TensorFlow's "SAME": what cannot be padded evenly is padded more at the bottom and at the right."""

import torch.nn as nn
import torch.nn.functional as F


def same_pad(x, k, s, value=0.0):
    """Pads so that the output has ceil(size / stride) rows and columns."""
    pads = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


class Conv2dSame(nn.Conv2d):
    def forward(self, x):
        return super().forward(same_pad(x, self.kernel_size[0], self.stride[0]))


class MaxPool2dSame(nn.MaxPool2d):
    def forward(self, x):
        return super().forward(same_pad(x, self.kernel_size, self.stride, float("-inf")))


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = Conv2dSame(cin, cout, 3, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = Conv2dSame(cout, cout, 3, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + (self.downsample(x) if self.downsample else x))


class ResNet18Same(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1 = Conv2dSame(3, 64, 7, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = MaxPool2dSame(3, 2)
        blocks = []
        for cin, cout in ((64, 64), (64, 128), (128, 256), (256, 512)):
            blocks += [Block(cin, cout, 1 if cin == cout else 2), Block(cout, cout, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        return self.fc(self.blocks(x).mean((2, 3)))
