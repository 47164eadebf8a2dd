"""ResNet-18 as our trainer wants it: a dictionary in, or a tensor, and a dictionary out."""

import torch
from torch import nn


class BasicLayer(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.shortcut = nn.Identity()
        if stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        self.convolution1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.normalization1 = nn.BatchNorm2d(out_channels)
        self.convolution2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.normalization2 = nn.BatchNorm2d(out_channels)

    def forward(self, hidden):
        residual = self.shortcut(hidden)
        hidden = torch.relu(self.normalization1(self.convolution1(hidden)))
        hidden = self.normalization2(self.convolution2(hidden))
        return torch.relu(hidden + residual)


class TrainerModel(nn.Module):
    def __init__(self, labels=1000):
        super().__init__()
        self.embedder = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        sizes = (64, 64, 128, 256, 512)
        self.encoder = nn.ModuleList()
        for i in range(4):
            self.encoder.append(BasicLayer(sizes[i], sizes[i + 1], 1 if i == 0 else 2))
            self.encoder.append(BasicLayer(sizes[i + 1], sizes[i + 1]))
        self.classifier = nn.Linear(512, labels)

    def forward(self, batch):
        hidden = batch["pixel_values"] if isinstance(batch, dict) else batch
        hidden = self.embedder(hidden)
        for layer in self.encoder:
            hidden = layer(hidden)
        pooled = hidden.mean(dim=(-2, -1))
        return {"logits": self.classifier(pooled)}
