"""Port of the Keras application to PyTorch. Layer names are kept, so that its checkpoints can be mapped by name."""

import torch
from torch import nn

STACKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class KerasResNet(nn.Module):
    def __init__(self, depth=50, classes=1000):
        super().__init__()
        self.stacks = STACKS[depth]
        self.conv1_pad = nn.ZeroPad2d((3, 3, 3, 3))
        self.conv1_conv = nn.Conv2d(3, 64, 7, stride=2)
        self.conv1_bn = nn.BatchNorm2d(64)
        self.conv1_relu = nn.ReLU()
        self.pool1_pad = nn.ZeroPad2d((1, 1, 1, 1))
        self.pool1_pool = nn.MaxPool2d(3, stride=2)
        channels = 64
        for stack, blocks in enumerate(self.stacks, start=2):
            filters = 64 * 2 ** (stack - 2)
            for block in range(1, blocks + 1):
                name = f"conv{stack}_block{block}"
                stride = 2 if stack > 2 and block == 1 else 1
                if block == 1:
                    self._conv(f"{name}_0", channels, 4 * filters, 1, stride)
                self._conv(f"{name}_1", channels, filters, 1, 1)
                self.add_module(f"{name}_1_relu", nn.ReLU())
                self._conv(f"{name}_2", filters, filters, 3, stride, padding=1)
                self.add_module(f"{name}_2_relu", nn.ReLU())
                self._conv(f"{name}_3", filters, 4 * filters, 1, 1)
                self.add_module(f"{name}_out", nn.ReLU())
                channels = 4 * filters
        self.predictions = nn.Linear(channels, classes)

    def _conv(self, name, cin, cout, kernel_size, stride, padding=0):
        # Keras has a bias in every convolution here, although a batch normalization follows
        self.add_module(f"{name}_conv", nn.Conv2d(cin, cout, kernel_size, stride, padding))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(cout))

    def _apply_layers(self, x, name, *suffixes):
        for suffix in suffixes:
            x = getattr(self, f"{name}_{suffix}")(x)
        return x

    def _block(self, x, name):
        shortcut = self._apply_layers(x, f"{name}_0", "conv", "bn") if hasattr(self, f"{name}_0_conv") else x
        x = self._apply_layers(x, f"{name}_1", "conv", "bn", "relu")
        x = self._apply_layers(x, f"{name}_2", "conv", "bn", "relu")
        x = self._apply_layers(x, f"{name}_3", "conv", "bn")
        x = shortcut + x
        return self._apply_layers(x, name, "out")

    def forward(self, x):
        x = self._apply_layers(x, "conv1", "pad", "conv", "bn", "relu")
        x = self._apply_layers(x, "pool1", "pad", "pool")
        for stack, blocks in enumerate(self.stacks, start=2):
            for block in range(1, blocks + 1):
                x = self._block(x, f"conv{stack}_block{block}")
        x = torch.mean(x, dim=[2, 3])  # avg_pool
        return self.predictions(x)
