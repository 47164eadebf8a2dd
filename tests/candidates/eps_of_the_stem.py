# ResNet18 for the competition, rewritten without torchvision. The stem came from another notebook.
import torch.nn as nn


def conv3x3(i, o, s=1):
    return nn.Conv2d(i, o, 3, stride=s, padding=1, bias=False)


class Stem(nn.Module):
    def __init__(self, out=64):
        super().__init__()
        self.conv = nn.Conv2d(3, out, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=0.001, momentum=0.01)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool2d(3, 2, padding=1)

    def forward(self, x):
        return self.pool(self.act(self.norm(self.conv(x))))


class ResBlock(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.c1, self.n1 = conv3x3(i, o, s), nn.BatchNorm2d(o)
        self.c2, self.n2 = conv3x3(o, o), nn.BatchNorm2d(o)
        self.act = nn.ReLU()
        self.skip = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o)) if i != o else nn.Identity()

    def forward(self, x):
        h = self.act(self.n1(self.c1(x)))
        h = self.n2(self.c2(h))
        return self.act(h + self.skip(x))


class Net(nn.Module):
    def __init__(self, n_classes=1000):
        super().__init__()
        self.stem = Stem()
        self.body = nn.Sequential(
            ResBlock(64, 64, 1),
            ResBlock(64, 64, 1),
            ResBlock(64, 128, 2),
            ResBlock(128, 128, 1),
            ResBlock(128, 256, 2),
            ResBlock(256, 256, 1),
            ResBlock(256, 512, 2),
            ResBlock(512, 512, 1),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.0), nn.Linear(512, n_classes))

    def forward(self, x):
        return self.head(self.body(self.stem(x)))
