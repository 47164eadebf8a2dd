"""ResNet-50 with the shortcut of the "bag of tricks": average first, then project without a stride."""

from torch import nn


class ConvNorm(nn.Sequential):
    def __init__(self, i, o, k, s=1):
        super().__init__(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o))


class BottleneckD(nn.Module):
    def __init__(self, i, m, s, first):
        super().__init__()
        o = 4 * m
        self.path = nn.Sequential(ConvNorm(i, m, 1), nn.ReLU(), ConvNorm(m, m, 3, s), nn.ReLU(), ConvNorm(m, o, 1))
        self.pool = nn.AvgPool2d(2) if s == 2 else nn.Identity()
        self.skip = ConvNorm(i, o, 1) if first else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.path(x) + self.skip(self.pool(x)))


class ResNet50D(nn.Module):
    def __init__(self, c=1000):
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.body = nn.Sequential()
        i = 64
        for stage, (m, n) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
            for j in range(n):
                self.body.append(BottleneckD(i, m, 2 if stage and j == 0 else 1, j == 0))
                i = 4 * m
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, c))

    def forward(self, x):
        return self.head(self.body(self.stem(x)))
