"""Fully convolutional ResNet-34: the last layer is a 1x1 convolution, so that it can be slid over larger images."""

import torch.nn as nn


def conv(cin, cout, k, stride=1, bias=False):
    return nn.Conv2d(cin, cout, k, stride=stride, padding=(k - 1) // 2, bias=bias)


class Res(nn.Module):
    def __init__(self, cin, cout, down):
        super().__init__()
        stride = 2 if down else 1
        self.body = nn.ModuleList(
            [
                conv(cin, cout, 3, stride),
                nn.BatchNorm2d(cout),
                nn.ReLU(),
                conv(cout, cout, 3),
                nn.BatchNorm2d(cout),
            ]
        )
        self.match = nn.ModuleList([conv(cin, cout, 1, stride), nn.BatchNorm2d(cout)] if down else [])
        self.out = nn.ReLU()

    def forward(self, x):
        y = x
        for layer in self.body:
            y = layer(y)
        for layer in self.match:
            x = layer(x)
        return self.out(y + x)


class FullyConvolutional(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        self.entry = nn.ModuleList([conv(3, 64, 7, 2), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)])
        self.blocks = nn.ModuleList()
        cin = 64
        for cout, n in ((64, 3), (128, 4), (256, 6), (512, 3)):
            for i in range(n):
                self.blocks.append(Res(cin, cout, down=i == 0 and cin != cout))
                cin = cout
        self.global_pool = nn.AdaptiveAvgPool2d((1, 1))
        self.score = conv(512, classes, 1, bias=True)

    def forward(self, x):
        for layer in self.entry:
            x = layer(x)
        for block in self.blocks:
            x = block(x)
        x = self.score(self.global_pool(x))
        return x.flatten(start_dim=1)
