"""ResNet-50 in PyTorch, following the course notebook: a convolutional block, then identity blocks."""

import torch
from torch import nn


class IdentityBlock(nn.Module):
    """The block whose input already has the shape of its output."""

    def __init__(self, filters, f):
        super().__init__()
        F1, F2, F3 = filters
        self.conv_2a = nn.Conv2d(F3, F1, (1, 1))
        self.bn_2a = nn.BatchNorm2d(F1)
        self.conv_2b = nn.Conv2d(F1, F2, (f, f), padding="same")
        self.bn_2b = nn.BatchNorm2d(F2)
        self.conv_2c = nn.Conv2d(F2, F3, (1, 1))
        self.bn_2c = nn.BatchNorm2d(F3)

    def forward(self, X):
        X_shortcut = X
        X = torch.relu(self.bn_2a(self.conv_2a(X)))
        X = torch.relu(self.bn_2b(self.conv_2b(X)))
        X = self.bn_2c(self.conv_2c(X))
        X = torch.add(X, X_shortcut)
        return torch.relu(X)


class ConvolutionalBlock(nn.Module):
    """The block that changes the shape, and therefore has a convolution on its shortcut."""

    def __init__(self, in_channels, filters, f, s):
        super().__init__()
        F1, F2, F3 = filters
        # shortcut path
        self.conv_1 = nn.Conv2d(in_channels, F3, (1, 1), stride=(s, s))
        self.bn_1 = nn.BatchNorm2d(F3)
        # main path
        self.conv_2a = nn.Conv2d(in_channels, F1, (1, 1))
        self.bn_2a = nn.BatchNorm2d(F1)
        self.conv_2b = nn.Conv2d(F1, F2, (f, f), stride=(s, s), padding=(f // 2, f // 2))
        self.bn_2b = nn.BatchNorm2d(F2)
        self.conv_2c = nn.Conv2d(F2, F3, (1, 1))
        self.bn_2c = nn.BatchNorm2d(F3)

    def forward(self, X):
        X_shortcut = self.bn_1(self.conv_1(X))
        X = torch.relu(self.bn_2a(self.conv_2a(X)))
        X = torch.relu(self.bn_2b(self.conv_2b(X)))
        X = self.bn_2c(self.conv_2c(X))
        X = torch.add(X, X_shortcut)
        return torch.relu(X)


class ResNet50(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        # Stage 1
        self.pad = nn.ZeroPad2d(3)
        self.conv1 = nn.Conv2d(3, 64, (7, 7), stride=(2, 2))
        self.bn_conv1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d((3, 3), stride=(2, 2), padding=1)
        # Stage 2 to 5
        self.stage2 = self.stage(64, [64, 64, 256], identity_blocks=2, s=1)
        self.stage3 = self.stage(256, [128, 128, 512], identity_blocks=3, s=2)
        self.stage4 = self.stage(512, [256, 256, 1024], identity_blocks=5, s=2)
        self.stage5 = self.stage(1024, [512, 512, 2048], identity_blocks=2, s=2)
        # Output layer
        self.fc = nn.Linear(2048, classes)

    @staticmethod
    def stage(in_channels, filters, identity_blocks, s):
        blocks = [ConvolutionalBlock(in_channels, filters, f=3, s=s)]
        blocks += [IdentityBlock(filters, f=3) for _ in range(identity_blocks)]
        return nn.Sequential(*blocks)

    def forward(self, X):
        X = self.pad(X)
        X = torch.relu(self.bn_conv1(self.conv1(X)))
        X = self.pool(X)
        X = self.stage5(self.stage4(self.stage3(self.stage2(X))))
        X = torch.nn.functional.adaptive_avg_pool2d(X, 1)
        X = torch.flatten(X, start_dim=1)
        return self.fc(X)
