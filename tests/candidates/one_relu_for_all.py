"""There is nothing to learn in a ReLU or a pooling, so one object of each serves the whole network."""

import torch.nn as nn


class Block(nn.Module):
    expansion = 1

    def __init__(self, c_in, c_out, act, subsample=False):
        super().__init__()
        stride = 1 if not subsample else 2
        self.net = nn.Sequential(
            nn.Conv2d(c_in, c_out, kernel_size=3, padding=1, stride=stride, bias=False),
            nn.BatchNorm2d(c_out),
            act,
            nn.Conv2d(c_out, c_out, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
        )
        self.downsample = None
        if subsample:
            self.downsample = nn.Sequential(
                nn.Conv2d(c_in, c_out, kernel_size=1, stride=2, bias=False), nn.BatchNorm2d(c_out)
            )
        self.act_fn = act

    def forward(self, x):
        z = self.net(x)
        if self.downsample is not None:
            x = self.downsample(x)
        out = z + x
        return self.act_fn(out)


class ResNet(nn.Module):
    def __init__(self, num_blocks=(3, 4, 6, 3), c_hidden=(64, 128, 256, 512), num_classes=1000):
        super().__init__()
        self.act_fn = nn.ReLU(inplace=True)
        self.input_net = nn.Sequential(
            nn.Conv2d(3, c_hidden[0], kernel_size=7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(c_hidden[0]),
            self.act_fn,
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        blocks = []
        for block_idx, block_count in enumerate(num_blocks):
            for bc in range(block_count):
                # the first block of every group but the first halves the picture
                subsample = bc == 0 and block_idx > 0
                c_in = c_hidden[block_idx if not subsample else block_idx - 1]
                blocks.append(Block(c_in, c_hidden[block_idx], self.act_fn, subsample))
        self.blocks = nn.Sequential(*blocks)
        self.output_net = nn.Sequential(
            nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(c_hidden[-1], num_classes)
        )

    def forward(self, x):
        x = self.input_net(x)
        x = self.blocks(x)
        return self.output_net(x)
