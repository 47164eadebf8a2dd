"""Conversion of a Caffe prototxt: normalisation and scale are two layers there, and so they are here."""

import torch
from torch import nn


class Scale(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return x * self.gamma[None, :, None, None] + self.beta[None, :, None, None]


class ResNet50Caffe(nn.Module):
    LETTERS = "abcdef"

    def __init__(self):
        super().__init__()
        self.layer("conv1", "_conv1", 3, 64, 7, 2)
        self.pool1 = nn.MaxPool2d(3, 2, 1)
        self.blocks = []
        channels = 64
        for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3)):
            width = 16 * 2**stage
            for letter in self.LETTERS[:count]:
                tag = f"{stage}{letter}"
                stride = 2 if stage > 2 and letter == "a" else 1
                if letter == "a":
                    self.layer(f"res{tag}_branch1", f"{tag}_branch1", channels, 4 * width, 1, stride)
                self.layer(f"res{tag}_branch2a", f"{tag}_branch2a", channels, width, 1, 1)
                self.layer(f"res{tag}_branch2b", f"{tag}_branch2b", width, width, 3, stride)
                self.layer(f"res{tag}_branch2c", f"{tag}_branch2c", width, 4 * width, 1, 1)
                channels = 4 * width
                self.blocks.append(tag)
        self.pool5 = nn.AdaptiveAvgPool2d(1)
        self.fc1000 = nn.Linear(channels, 1000)

    def layer(self, conv, tag, cin, cout, k, stride):
        """Registers a convolution, a normalisation without a scale, and the scale."""
        setattr(self, conv, nn.Conv2d(cin, cout, k, stride, k // 2, bias=False))
        setattr(self, "bn" + tag, nn.BatchNorm2d(cout, affine=False))
        setattr(self, "scale" + tag, Scale(cout))

    def run(self, x, conv, tag):
        x = getattr(self, conv)(x)
        x = getattr(self, "bn" + tag)(x)
        return getattr(self, "scale" + tag)(x)

    def forward(self, data):
        x = torch.relu(self.run(data, "conv1", "_conv1"))
        x = self.pool1(x)
        for tag in self.blocks:
            branch1 = self.run(x, f"res{tag}_branch1", f"{tag}_branch1") if tag.endswith("a") else x
            x = torch.relu(self.run(x, f"res{tag}_branch2a", f"{tag}_branch2a"))
            x = torch.relu(self.run(x, f"res{tag}_branch2b", f"{tag}_branch2b"))
            x = self.run(x, f"res{tag}_branch2c", f"{tag}_branch2c")
            x = torch.relu(branch1 + x)
        x = self.pool5(x)
        return self.fc1000(x.reshape(x.size(0), -1))
