"""ResNet-34 fine-tuned on our ten kinds of defects."""

import torch.nn as nn

CLASSES = ["ok", "scratch", "dent", "crack", "stain", "chip", "warp", "pit", "burr", "other"]
N_CLASSES = len(CLASSES)


def block(cin, cout, stride):
    body = nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(),
        nn.Conv2d(cout, cout, 3, 1, 1, bias=False),
        nn.BatchNorm2d(cout),
    )
    skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)) if stride > 1 else None
    return nn.ModuleDict({"body": body, "skip": skip or nn.Identity()})


class DefectNet(nn.Module):
    def __init__(self, n_classes=N_CLASSES):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.relu = nn.ReLU()
        cin, blocks = 64, []
        for cout, n in ((64, 3), (128, 4), (256, 6), (512, 3)):
            for _ in range(n):
                blocks.append(block(cin, cout, cout // cin))
                cin = cout
        self.blocks = nn.ModuleList(blocks)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, n_classes)

    def forward(self, x):
        x = self.pool(self.stem(x))
        for b in self.blocks:
            x = self.relu(b["body"](x) + b["skip"](x))
        return self.fc(self.gap(x).flatten(1))
