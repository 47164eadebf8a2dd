"""Layers are callables: `__call__` is what a layer does, there is no `forward`."""

import torch
from torch import nn


class Conv(nn.Module):
    def __init__(self, n_in, n_out, size, stride=1):
        super().__init__()
        self.w = nn.Parameter(torch.randn(n_out, n_in, size, size) * 0.05)
        self.stride, self.pad = stride, size // 2

    def __call__(self, x):
        return torch.conv2d(x, self.w, stride=self.stride, padding=self.pad)


class Norm(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.mult = nn.Parameter(torch.ones(n))
        self.shift = nn.Parameter(torch.zeros(n))
        self.register_buffer("means", torch.zeros(n))
        self.register_buffer("vars", torch.ones(n))

    def __call__(self, x):
        return torch.batch_norm(x, self.mult, self.shift, self.means, self.vars, False, 0.1, 1e-5, False)


class Relu:
    """Not even a module."""

    def __call__(self, x):
        return x.relu()


class Add:
    def __call__(self, a, b):
        return torch.add(a, b)


class Bottleneck(nn.Module):
    def __init__(self, n_in, n_mid, stride):
        super().__init__()
        n_out = n_mid * 4
        self.c1, self.n1 = Conv(n_in, n_mid, 1), Norm(n_mid)
        self.c2, self.n2 = Conv(n_mid, n_mid, 3, stride), Norm(n_mid)
        self.c3, self.n3 = Conv(n_mid, n_out, 1), Norm(n_out)
        self.id_conv, self.id_norm = (Conv(n_in, n_out, 1, stride), Norm(n_out)) if n_in != n_out else (None, None)
        self.act, self.add = Relu(), Add()

    def __call__(self, x):
        y = self.act(self.n1(self.c1(x)))
        y = self.act(self.n2(self.c2(y)))
        y = self.n3(self.c3(y))
        return self.act(self.add(y, self.id_norm(self.id_conv(x)) if self.id_conv else x))


class XResNet50(nn.Module):
    def __init__(self, n_classes=1000):
        super().__init__()
        self.stem, self.stem_norm, self.act = Conv(3, 64, 7, 2), Norm(64), Relu()
        self.layers = nn.ModuleList()
        n_in = 64
        for i, count in enumerate([3, 4, 6, 3]):
            for j in range(count):
                self.layers.append(Bottleneck(n_in, 64 << i, 2 if i and not j else 1))
                n_in = 256 << i
        self.w = nn.Parameter(torch.randn(n_classes, n_in) * 0.01)
        self.b = nn.Parameter(torch.zeros(n_classes))

    def forward(self, x):
        x = self.act(self.stem_norm(self.stem(x)))
        x = torch.max_pool2d(x, [3, 3], [2, 2], [1, 1])
        for layer in self.layers:
            x = layer(x)
        x = torch.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return torch.nn.functional.linear(x, self.w, self.b)
