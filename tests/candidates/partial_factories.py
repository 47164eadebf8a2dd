"""ResNet-50 with functools.partial: what does not change is said once."""

from functools import partial, reduce

import torch.nn as nn
import torch.nn.functional as F

Conv1x1 = partial(nn.Conv2d, kernel_size=1, bias=False)
Conv3x3 = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)
Conv7x7 = partial(nn.Conv2d, kernel_size=7, padding=3, bias=False)
Norm = partial(nn.BatchNorm2d, eps=1e-5, momentum=0.1)
relu = partial(F.relu, inplace=True)
maxpool = partial(F.max_pool2d, kernel_size=3, stride=2, padding=1)


def chain(*fns):
    """First of `fns` first."""
    return lambda x: reduce(lambda value, fn: fn(value), fns, x)


class Bottleneck(nn.Module):
    def __init__(self, cin, mid, stride=1, *, mult=4):
        super().__init__()
        self.convs = nn.ModuleList([Conv1x1(cin, mid), Conv3x3(mid, mid, stride=stride), Conv1x1(mid, mid * mult)])
        self.norms = nn.ModuleList([Norm(mid), Norm(mid), Norm(mid * mult)])
        self.side = nn.ModuleList([Conv1x1(cin, mid * mult, stride=stride), Norm(mid * mult)])
        if cin == mid * mult:
            self.side = nn.ModuleList()

    def forward(self, x):
        (c1, c2, c3), (n1, n2, n3) = self.convs, self.norms
        main = chain(c1, n1, relu, c2, n2, relu, c3, n3)
        side = chain(*self.side)
        return relu(main(x) + side(x))


class Backbone(nn.Module):
    def __init__(self, block, counts):
        super().__init__()
        self.conv, self.norm = Conv7x7(3, 64, stride=2), Norm(64)
        cin, mids = 64, (64, 128, 256, 512)
        self.stages = nn.ModuleList()
        for mid, count, stride in zip(mids, counts, (1, 2, 2, 2), strict=True):
            stage = nn.ModuleList()
            for s in [stride] + [1] * (count - 1):
                stage.append(block(cin, mid, s))
                cin = mid * 4
            self.stages.append(stage)
        self.fc = nn.Linear(cin, 1000)

    def forward(self, x):
        x = chain(self.conv, self.norm, relu, maxpool)(x)
        x = reduce(lambda value, stage: chain(*stage)(value), self.stages, x)
        return self.fc(x.mean(dim=(2, 3)))


def build(counts=(3, 4, 6, 3)):
    return Backbone(Bottleneck, counts)
