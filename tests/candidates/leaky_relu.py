"""ResNet-18 for our GAN's discriminator, and therefore with leaky activations."""

import torch.nn as nn


class ActFactory:
    negative_slope = 0.01

    @classmethod
    def make(cls):
        return nn.LeakyReLU(cls.negative_slope, inplace=True)


class ResidualBlock(nn.Module):
    def __init__(self, dim_in, dim_out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(dim_in, dim_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(dim_out)
        self.actv1 = ActFactory.make()
        self.conv2 = nn.Conv2d(dim_out, dim_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(dim_out)
        self.actv2 = ActFactory.make()
        self.learned_sc = dim_in != dim_out
        if self.learned_sc:
            self.conv1x1 = nn.Conv2d(dim_in, dim_out, 1, stride, 0, bias=False)
            self.norm1x1 = nn.BatchNorm2d(dim_out)

    def _shortcut(self, x):
        return self.norm1x1(self.conv1x1(x)) if self.learned_sc else x

    def _residual(self, x):
        x = self.actv1(self.norm1(self.conv1(x)))
        return self.norm2(self.conv2(x))

    def forward(self, x):
        return self.actv2(self._shortcut(x) + self._residual(x))


class Discriminator(nn.Module):
    def __init__(self, out=1000):
        super().__init__()
        layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), ActFactory.make(), nn.MaxPool2d(3, 2, 1)]
        dim = 64
        for _ in range(4):
            nxt = 64 if len(layers) == 4 else dim * 2
            layers += [ResidualBlock(dim, nxt, nxt // dim), ResidualBlock(nxt, nxt)]
            dim = nxt
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.shared = nn.Sequential(*layers)
        self.unshared = nn.Linear(dim, out)

    def forward(self, x):
        return self.unshared(self.shared(x))
