from itertools import pairwise

import torch
from torch import nn

# helpers


def exists(val):
    return val is not None


def default(val, d):
    return val if exists(val) else d


class Lambda(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return self.fn(x)


class Residual(nn.Module):
    def __init__(self, fn, shortcut=None):
        super().__init__()
        self.fn = fn
        self.shortcut = default(shortcut, Lambda(lambda t: t))

    def forward(self, x, **kwargs):
        return self.fn(x, **kwargs) + self.shortcut(x)


# classes


def Norm(dim):
    return nn.BatchNorm2d(dim)


def Project(dim, dim_out, stride):
    return nn.Sequential(nn.Conv2d(dim, dim_out, 1, stride=stride, bias=False), Norm(dim_out))


def Block(dim, dim_out, stride=1):
    fn = nn.Sequential(
        nn.Conv2d(dim, dim_out, 3, stride=stride, padding=1, bias=False),
        Norm(dim_out),
        Lambda(lambda t: t.relu()),
        nn.Conv2d(dim_out, dim_out, 3, padding=1, bias=False),
        Norm(dim_out),
    )
    shortcut = Project(dim, dim_out, stride) if dim != dim_out else None
    return nn.Sequential(Residual(fn, shortcut), Lambda(lambda t: t.relu()))


class ResNet(nn.Module):
    def __init__(self, *, dim=64, depths=(2, 2, 2, 2), num_classes=1000, channels=3):
        super().__init__()
        dims = [dim, *(dim * m for m in (1, 2, 4, 8))]
        dim_pairs = list(pairwise(dims))

        self.to_stem = nn.Sequential(
            nn.Conv2d(channels, dim, 7, stride=2, padding=3, bias=False),
            Norm(dim),
            Lambda(lambda t: t.relu()),
            nn.MaxPool2d(3, stride=2, padding=1),
        )

        self.stages = nn.ModuleList([])
        for ind, ((dim_in, dim_out), depth) in enumerate(zip(dim_pairs, depths, strict=True)):
            is_first = ind == 0
            self.stages.append(
                nn.ModuleList(
                    [
                        Block(dim_in, dim_out, stride=1 if is_first else 2),
                        nn.Sequential(*[Block(dim_out, dim_out) for _ in range(depth - 1)]),
                    ]
                )
            )

        self.to_logits = nn.Sequential(
            Lambda(lambda t: t.flatten(2).mean(dim=-1)),
            nn.Linear(dims[-1], num_classes),
        )

    def forward(self, img):
        assert img.ndim == 4, "images must be batch x channels x height x width"
        x = self.to_stem(img)
        for head, blocks in self.stages:
            x = blocks(head(x))
        return self.to_logits(x)


def resnet34():
    return ResNet(depths=(3, 4, 6, 3))


@torch.no_grad()
def count(net):
    return sum(p.numel() for p in net.parameters())
