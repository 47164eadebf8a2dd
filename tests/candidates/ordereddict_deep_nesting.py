"""Everything has its place, some levels down. Identities keep the places of what may come."""

from collections import OrderedDict

import torch.nn as nn


class Branch(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.inner = nn.Sequential(OrderedDict(layers))

    def forward(self, x):
        return self.inner(x.contiguous())


class Trunk(nn.Module):
    def __init__(self, units):
        super().__init__()
        self.wrapped = nn.ModuleDict({"units": nn.Sequential(*units)})

    def forward(self, x):
        return self.wrapped["units"](x)


class Unit(nn.Module):
    def __init__(self, a, b, s):
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                "identity": Branch([("pass", nn.Identity())])
                if a == b
                else Branch([("conv", nn.Conv2d(a, b, 1, s, bias=False)), ("norm", nn.BatchNorm2d(b))]),
                "residual": Branch(
                    [
                        ("pre", nn.Identity()),
                        ("conv1", nn.Conv2d(a, b, 3, s, 1, bias=False)),
                        ("norm1", nn.BatchNorm2d(b)),
                        ("drop1", nn.Dropout(0.0)),
                        ("relu1", nn.ReLU()),
                        ("conv2", nn.Conv2d(b, b, 3, 1, 1, bias=False)),
                        ("norm2", nn.BatchNorm2d(b)),
                        ("drop2", nn.Dropout2d(0.0)),
                    ]
                ),
            }
        )
        self.post = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Sequential())

    def forward(self, x):
        return self.post(sum(branch(x) for branch in self.branches.values()))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        stem = [
            ("conv", nn.Conv2d(3, 64, 7, 2, 3, bias=False)),
            ("norm", nn.BatchNorm2d(64)),
            ("relu", nn.ReLU()),
            ("pool", nn.MaxPool2d(3, 2, 1)),
        ]
        trunks = [
            Trunk([Unit(a, b, 1 if a == b else 2), Unit(b, b, 1)])
            for a, b in ((64, 64), (64, 128), (128, 256), (256, 512))
        ]
        self.network = nn.ModuleDict(
            {
                "encoder": nn.Sequential(OrderedDict(stem=Branch(stem), body=nn.Sequential(*trunks))),
                "decoder": nn.Sequential(
                    OrderedDict(
                        pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), drop=nn.Dropout(0.0), fc=nn.Linear(512, 1000)
                    )
                ),
            }
        )

    def forward(self, x):
        return self.network["decoder"](self.network["encoder"](x).contiguous())
