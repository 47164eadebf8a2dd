"""The network is a text, one layer a line, in the manner of the old configuration files."""

import torch.nn as nn

RESNET34 = """
conv 64 7 2
norm
relu
maxpool 3 2
basic 64 3 1
basic 128 4 2
basic 256 6 2
basic 512 3 2
avgpool
linear 1000
"""


class Shortcut(nn.Module):
    """Adds what came in to what the wrapped layers make of it."""

    def __init__(self, layers, project):
        super().__init__()
        self.layers = layers
        self.project = project

    def forward(self, x):
        inp = x
        for layer in self.layers:
            x = layer(x)
        for layer in self.project:
            inp = layer(inp)
        return inp + x


class Net(nn.Module):
    def __init__(self, cfg=RESNET34):
        super().__init__()
        self.layers = nn.ModuleList()
        channels = 3
        for line in cfg.strip().splitlines():
            kind, *numbers = line.split()
            channels = getattr(self, f"_{kind}")(channels, *map(int, numbers))

    def _conv(self, cin, cout, k, stride):
        self.layers.append(nn.Conv2d(cin, cout, k, stride, k // 2, bias=False))
        return cout

    def _norm(self, c):
        self.layers.append(nn.BatchNorm2d(c))
        return c

    def _relu(self, c):
        self.layers.append(nn.ReLU(inplace=True))
        return c

    def _maxpool(self, c, k, stride):
        self.layers.append(nn.MaxPool2d(k, stride, k // 2))
        return c

    def _basic(self, cin, cout, count, stride):
        for i in range(count):
            s = stride if i == 0 else 1
            project = [nn.Conv2d(cin, cout, 1, s, bias=False), nn.BatchNorm2d(cout)] if cin != cout else []
            layers = [
                nn.Conv2d(cin, cout, 3, s, 1, bias=False),
                nn.BatchNorm2d(cout),
                nn.ReLU(inplace=True),
                nn.Conv2d(cout, cout, 3, 1, 1, bias=False),
                nn.BatchNorm2d(cout),
            ]
            self.layers.append(Shortcut(nn.ModuleList(layers), nn.ModuleList(project)))
            self.layers.append(nn.ReLU(inplace=True))
            cin = cout
        return cout

    def _avgpool(self, c):
        self.layers.append(nn.AdaptiveAvgPool2d(1))
        self.layers.append(nn.Flatten())
        return c

    def _linear(self, cin, cout):
        self.layers.append(nn.Linear(cin, cout))
        return cout

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
