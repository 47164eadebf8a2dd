"""ResNet-18 for style transfer, where every picture is normalised by its own statistics."""

from functools import partial

import torch.nn as nn

Norm = partial(nn.BatchNorm2d, track_running_stats=False)


class Res(nn.Module):
    def __init__(self, i, o, s=1):
        super().__init__()
        self.conv = nn.ModuleList([nn.Conv2d(i, o, 3, s, 1, bias=False), nn.Conv2d(o, o, 3, 1, 1, bias=False)])
        self.norm = nn.ModuleList([Norm(o), Norm(o)])
        self.skip = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), Norm(o)) if s > 1 else nn.Sequential()

    def forward(self, x):
        y = self.norm[0](self.conv[0](x)).relu()
        y = self.norm[1](self.conv[1](y))
        return (y + self.skip(x)).relu()


class StyleEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.first_norm = Norm(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.res = nn.Sequential(
            Res(64, 64),
            Res(64, 64),
            Res(64, 128, 2),
            Res(128, 128),
            Res(128, 256, 2),
            Res(256, 256),
            Res(256, 512, 2),
            Res(512, 512),
        )
        self.code = nn.Linear(512, 1000)

    def forward(self, x):
        x = self.pool(self.first_norm(self.first(x)).relu())
        x = self.res(x)
        return self.code(x.mean(dim=(2, 3)))
