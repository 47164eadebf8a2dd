# One expression, top to bottom. The only class is the one that Sequential cannot express.
import torch.nn as nn


class Residual(nn.Module):
    def __init__(self, main, skip):
        super().__init__()
        self.main = main
        self.skip = skip

    def forward(self, x):
        return self.main(x) + self.skip(x)


def conv_bn(cin, cout, k, s=1):
    return nn.Sequential(nn.Conv2d(cin, cout, k, s, padding=k // 2, bias=False), nn.BatchNorm2d(cout))


def bottleneck(cin, width, stride):
    cout = 4 * width
    main = nn.Sequential(
        conv_bn(cin, width, 1),
        nn.ReLU(),
        conv_bn(width, width, 3, stride),
        nn.ReLU(),
        conv_bn(width, cout, 1),
    )
    skip = nn.Identity() if cin == cout and stride == 1 else conv_bn(cin, cout, 1, stride)
    return nn.Sequential(Residual(main, skip), nn.ReLU())


def stage(cin, width, blocks, stride):
    first = bottleneck(cin, width, stride)
    return nn.Sequential(first, *(bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))


def resnet50(classes=1000):
    return nn.Sequential(
        nn.Sequential(conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        stage(64, 64, 3, 1),
        stage(256, 128, 4, 2),
        stage(512, 256, 6, 2),
        stage(1024, 512, 3, 2),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, classes)),
    )
