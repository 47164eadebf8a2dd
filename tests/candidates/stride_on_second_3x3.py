# ResNet-18 in forty lines
import torch.nn as nn


class Block(nn.Module):
    def __init__(self, inp, out, down=False):
        super().__init__()
        s = 2 if down else 1
        self.layers = nn.Sequential(
            nn.Conv2d(inp, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, stride=s, padding=1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.skip = nn.Sequential(nn.Conv2d(inp, out, 1, stride=s, bias=False), nn.BatchNorm2d(out)) if down else None
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.layers(x) + (self.skip(x) if self.skip else x))


def resnet18(num_classes=1000):
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        Block(64, 64),
        Block(64, 64),
        Block(64, 128, down=True),
        Block(128, 128),
        Block(128, 256, down=True),
        Block(256, 256),
        Block(256, 512, down=True),
        Block(512, 512),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, num_classes),
    )
