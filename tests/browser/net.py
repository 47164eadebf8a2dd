"""ResNet-18 as somebody might write it, with an eps that slipped in from another framework."""

from torch import nn


class Block(nn.Module):
    def __init__(self, channels_in, channels_out, stride, eps):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.act = nn.ReLU()
        self.shortcut = nn.Identity()
        if stride > 1:
            projection = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(channels_out, eps=eps))

    def forward(self, x):
        out = self.act(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return self.act(out + self.shortcut(x))


def wrong():
    """One batch norm, that of the first shortcut, has another eps."""
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    blocks = [
        block
        for before, channels, eps in ((64, 64, 1e-5), (64, 128, 1e-3), (128, 256, 1e-5), (256, 512, 1e-5))
        for block in (Block(before, channels, channels // before, eps), Block(channels, channels, 1, eps))
    ]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
