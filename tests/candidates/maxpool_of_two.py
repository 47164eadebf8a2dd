"""ResNet-34 with the max-pool that VGG has."""

from torch import nn


def norm_act(c):
    return nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(inplace=True))


class Two(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, c0, c1):
        super().__init__()
        stride = c1 // c0
        self.conv0 = nn.Conv2d(c0, c1, 3, stride, 1, bias=False)
        self.norm_act0 = norm_act(c1)
        self.conv1 = nn.Conv2d(c1, c1, 3, 1, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(c1)
        self.act1 = nn.ReLU(inplace=True)
        self.around = nn.Sequential()
        if c0 != c1:
            self.around.append(nn.Conv2d(c0, c1, 1, stride, bias=False))
            self.around.append(nn.BatchNorm2d(c1))

    def forward(self, x):
        y = self.norm1(self.conv1(self.norm_act0(self.conv0(x))))
        y += self.around(x)
        return self.act1(y)


class ResNet34(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm_act = norm_act(64)
        self.pool = nn.MaxPool2d(2, 2)
        channels = [64, *[64] * 3, *[128] * 4, *[256] * 6, *[512] * 3]
        self.twos = nn.ModuleList(Two(channels[i], channels[i + 1]) for i in range(16))
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x):
        x = self.pool(self.norm_act(self.conv(x)))
        for two in self.twos:
            x = two(x)
        return self.fc(self.gap(x).flatten(1))
