"""Small networks for the examples, as the lines that make them."""

from __future__ import annotations

from textwrap import dedent

__all__ = [
    "AVERAGED",
    "BASIC",
    "BIASED",
    "BLOCK",
    "BLOCKS",
    "BOTTLENECK",
    "CONV",
    "CONVBN",
    "CONVS",
    "DILATED",
    "EIGHT",
    "FEATURES",
    "FLAT",
    "FUNCTIONAL",
    "GLOBAL",
    "GROUPED",
    "HEAD",
    "LEARNER",
    "NET",
    "ONEVALUE",
    "PADDED",
    "POOLED",
    "POOLHEAD",
    "PREACT",
    "STEM",
    "STRIDED",
    "TWINS",
    "WIDE",
]

CONV = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
    )
    """)

CONVBN = "expected = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))\n"

STEM = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    )
    """)

_PROJECTION = dedent("""\
    projection = nn.Conv2d(8, 16, 1, 2, bias=False)
    down = nn.Sequential(projection, nn.BatchNorm2d(16))
    """)

_NETWORK = dedent("""\
    expected = nn.Sequential()
    expected.conv1 = nn.Conv2d(3, 8, 3, padding=1)
    """)

BASIC = f"{_PROJECTION}{_NETWORK}expected.layer2 = nn.Sequential(BasicBlock(8, 16, 2, down))\n"

BOTTLENECK = f"{_PROJECTION}{_NETWORK}expected.layer2 = nn.Sequential(Bottleneck(8, 4, 2, down))\n"

BLOCK = "expected = BasicBlock(8, 8)\n"

BLOCKS = "expected = nn.Sequential(*(BasicBlock(8, 8) for _ in range(3)))\n"

NET = dedent("""\
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.norm, self.relu = nn.BatchNorm2d(8), nn.ReLU()

        def forward(self, x):
            return self.relu(self.norm(self.conv(x)))


    expected = Net()
    """)

FUNCTIONAL = dedent("""\
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 3)
            self.pool = nn.AdaptiveAvgPool2d(1)

        def forward(self, x):
            return torch.flatten(self.pool(self.conv(x)), 1)


    expected = Net()
    """)

PREACT = dedent("""\
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 8, 3)
            self.relu = nn.ReLU()
            self.conv2 = nn.Conv2d(8, 8, 3, padding=1)

        def forward(self, x):
            x = self.conv1(x)
            return x + self.conv2(self.relu(x))


    expected = Net()
    """)

CONVS = "expected = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))\n"

STRIDED = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)
    )
    """)

PADDED = "expected = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ZeroPad2d(1))\n"

DILATED = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2),
    )
    """)

EIGHT = "expected = nn.Sequential(nn.Conv2d(8, 8, 3, bias=False), nn.ReLU())\n"

GROUPED = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(8, 16, 3, padding=1, groups=4, bias=False), nn.ReLU()
    )
    """)

BIASED = "expected = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())\n"

WIDE = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
    )
    """)

POOLED = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.MaxPool2d(3, 2, 1)
    )
    """)

AVERAGED = "expected = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AvgPool2d(3, 2, 1))\n"

GLOBAL = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    """)

FEATURES = "expected = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"

HEAD = dedent("""\
    expected = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 8)
    )
    """)

LEARNER = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    """)

FLAT = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(128, 10)
    )
    """)

TWINS = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)
    )
    """)

POOLHEAD = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )
    """)

ONEVALUE = dedent("""\
    expected = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(8)
    )
    """)
