"""Stages in a ModuleDict, and a forward that collects every stage's output by name."""

from collections import OrderedDict

import torch
from torch import nn


def norm(c):
    return nn.BatchNorm2d(c)


class Block(nn.Module):
    def __init__(self, cin, cmid, stride):
        super().__init__()
        cout = 4 * cmid
        self.ops = nn.ModuleDict(
            {
                "expand": nn.Conv2d(cmid, cout, 1, bias=False),
                "expand_norm": norm(cout),
                "reduce": nn.Conv2d(cin, cmid, 1, bias=False),
                "reduce_norm": norm(cmid),
                "conv": nn.Conv2d(cmid, cmid, 3, stride=stride, padding=1, bias=False),
                "conv_norm": norm(cmid),
                "relu": nn.ReLU(),
            }
        )
        if cin != cout:
            self.ops["project"] = nn.Conv2d(cin, cout, 1, stride=stride, bias=False)
            self.ops["project_norm"] = norm(cout)

    def forward(self, x):
        ops = self.ops
        identity = ops["project_norm"](ops["project"](x)) if "project" in ops else x
        x = ops["relu"](ops["reduce_norm"](ops["reduce"](x)))
        x = ops["relu"](ops["conv_norm"](ops["conv"](x)))
        x = ops["expand_norm"](ops["expand"](x))
        return ops["relu"](identity + x)


class StagedResNet(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        stages = OrderedDict()
        stages["stem"] = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
                norm=norm(64),
                relu=nn.ReLU(),
                pool=nn.MaxPool2d(3, stride=2, padding=1),
            )
        )
        cin = 64
        for i, n in enumerate((3, 4, 6, 3)):
            blocks = OrderedDict()
            for j in range(n):
                blocks[f"block{j}"] = Block(cin, 64 * 2**i, 2 if i > 0 and j == 0 else 1)
                cin = 256 * 2**i
            stages[f"res{i + 2}"] = nn.Sequential(blocks)
        self.stages = nn.ModuleDict(stages)
        self.heads = nn.ModuleDict({"classify": nn.Linear(cin, num_classes)})

    def extract(self, x):
        """The output of every stage, by name."""
        found = {}
        for name, stage in self.stages.items():
            x = stage(x)
            found[name] = x
        return found

    def forward(self, x):
        features = self.extract(x)
        pooled = torch.mean(features["res5"], dim=(2, 3), keepdim=True)
        return self.heads["classify"](torch.squeeze(torch.squeeze(pooled, -1), -1))
