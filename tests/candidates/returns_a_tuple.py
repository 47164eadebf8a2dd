"""ResNet-18 that gives the features beside the logits, for the retrieval head."""

from torch import nn


class Basic(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        s = 1 + (i != o)
        self.f = nn.Sequential(
            nn.Conv2d(i, o, 3, s, 1, bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU(),
            nn.Conv2d(o, o, 3, 1, 1, bias=False),
            nn.BatchNorm2d(o),
        )
        self.g = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o)) if i != o else None
        self.relu = nn.ReLU()

    def forward(self, x):
        skip = x if self.g is None else self.g(x)
        return self.relu(self.f(x) + skip)


class RetrievalNet(nn.Module):
    def __init__(self, n=1000):
        super().__init__()
        stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        pairs = [(64, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
        self.backbone = nn.Sequential(*stem, *(Basic(i, o) for i, o in pairs), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(512, n)

    def forward(self, x):
        features = self.backbone(x)
        logits = self.head(features)
        return logits, features
