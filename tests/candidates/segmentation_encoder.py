"""Encoder taken out of a segmentation repository; the decoder is still in the file, and is not used for logits."""

from itertools import pairwise

import torch
from torch import nn


class ConvBlock(nn.Module):
    def __init__(self, cin, cout, k=3, s=1, act=True):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(cin, cout, k, s, k // 2, bias=False), nn.BatchNorm2d(cout))
        self.act = nn.ReLU(inplace=True) if act else nn.Identity()

    def forward(self, x):
        return self.act(self.block(x))


class EncoderBlock(nn.Module):
    def __init__(self, cin, width, s):
        super().__init__()
        cout = width * 4
        self.skip = ConvBlock(cin, cout, 1, s, act=False) if cin != cout else nn.Identity()
        self.convs = nn.Sequential(
            ConvBlock(cin, width, 1), ConvBlock(width, width, 3, s), ConvBlock(width, cout, 1, act=False)
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        skip = self.skip(x)
        return self.act(self.convs(x) + skip)


class Decoder(nn.Module):
    def __init__(self, channels=(2048, 1024, 512, 256)):
        super().__init__()
        self.ups = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(channels))
        self.mask = nn.Conv2d(channels[-1], 21, 1)

    def forward(self, features):
        x, *rest = reversed(features)
        for up, skip in zip(self.ups, rest, strict=True):
            x = nn.functional.interpolate(up(x), size=skip.shape[-2:]) + skip
        return self.mask(x)


class SegmentationNet(nn.Module):
    def __init__(self, task="classify"):
        super().__init__()
        self.task = task
        self.decoder = Decoder()
        self.head = nn.Linear(2048, 1000)
        self.stem = ConvBlock(3, 64, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        cin = 64
        for i, n in enumerate((3, 4, 6, 3)):
            blocks = []
            for j in range(n):
                blocks.append(EncoderBlock(cin, 64 << i, 2 if i and not j else 1))
                cin = 256 << i
            setattr(self, f"enc{i + 1}", nn.Sequential(*blocks))

    def encode(self, x):
        features = []
        x = self.pool(self.stem(x))
        for enc in (self.enc1, self.enc2, self.enc3, self.enc4):
            x = enc(x)
            features.append(x)
        return features

    def forward(self, x):
        features = self.encode(x)
        if self.task == "segment":
            return self.decoder(features)
        n, c = features[-1].shape[:2]
        return self.head(features[-1].reshape(n, c, -1).mean(-1).view(torch.Size((n, c))))
