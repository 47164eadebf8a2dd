"""No block class at all: the network has methods for its blocks, and flat attributes for its layers."""

import torch.nn as nn
import torch.nn.functional as F


class Flat18(nn.Module):
    def __init__(self, n_classes=1000):
        super().__init__()
        self.c0, self.b0 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)

        # all convolutions first ...
        self.c1a, self.c1b = self.c3(64, 64), self.c3(64, 64)
        self.c1c, self.c1d = self.c3(64, 64), self.c3(64, 64)
        self.c2a, self.c2b = self.c3(64, 128, 2), self.c3(128, 128)
        self.c2c, self.c2d = self.c3(128, 128), self.c3(128, 128)
        self.c3a, self.c3b = self.c3(128, 256, 2), self.c3(256, 256)
        self.c3c, self.c3d = self.c3(256, 256), self.c3(256, 256)
        self.c4a, self.c4b = self.c3(256, 512, 2), self.c3(512, 512)
        self.c4c, self.c4d = self.c3(512, 512), self.c3(512, 512)

        # ... then the projections, the last one first ...
        self.p4 = nn.Conv2d(256, 512, 1, 2, bias=False)
        self.p3 = nn.Conv2d(128, 256, 1, 2, bias=False)
        self.p2 = nn.Conv2d(64, 128, 1, 2, bias=False)

        # ... then all norms
        for stage, width in ((1, 64), (2, 128), (3, 256), (4, 512)):
            for letter in "pdcba":
                if stage > 1 or letter != "p":
                    setattr(self, f"b{stage}{letter}", nn.BatchNorm2d(width))

        self.head = nn.Linear(512, n_classes)

    @staticmethod
    def c3(i, o, s=1):
        return nn.Conv2d(i, o, 3, s, 1, bias=False)

    def plain(self, x, conv1, norm1, conv2, norm2):
        y = F.relu(norm1(conv1(x)))
        y = norm2(conv2(y))
        return F.relu(x + y)

    def shrink(self, x, conv1, norm1, conv2, norm2, conv_p, norm_p):
        y = F.relu(norm1(conv1(x)))
        y = norm2(conv2(y))
        return F.relu(y + norm_p(conv_p(x)))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.b0(self.c0(x))), 3, 2, 1)
        x = self.plain(x, self.c1a, self.b1a, self.c1b, self.b1b)
        x = self.plain(x, self.c1c, self.b1c, self.c1d, self.b1d)
        x = self.shrink(x, self.c2a, self.b2a, self.c2b, self.b2b, self.p2, self.b2p)
        x = self.plain(x, self.c2c, self.b2c, self.c2d, self.b2d)
        x = self.shrink(x, self.c3a, self.b3a, self.c3b, self.b3b, self.p3, self.b3p)
        x = self.plain(x, self.c3c, self.b3c, self.c3d, self.b3d)
        x = self.shrink(x, self.c4a, self.b4a, self.c4b, self.b4b, self.p4, self.b4p)
        x = self.plain(x, self.c4c, self.b4c, self.c4d, self.b4d)
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return self.head(x[:, :, 0, 0])
