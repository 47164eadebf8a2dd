"""ResNeXt: the 3x3 convolution is split into `cardinality` groups. Template (c) of the paper's figure 3."""

import torch.nn as nn
import torch.nn.functional as F


class GroupedBlock(nn.Module):
    def __init__(self, in_planes, cardinality, bottleneck_width, stride=1):
        super().__init__()
        group_width = cardinality * bottleneck_width
        out_planes = 2 * group_width
        self.conv_reduce = nn.Conv2d(in_planes, group_width, 1, bias=False)
        self.bn_reduce = nn.BatchNorm2d(group_width)
        self.conv_grouped = nn.Conv2d(
            group_width, group_width, 3, stride=stride, padding=1, groups=cardinality, bias=False
        )
        self.bn_grouped = nn.BatchNorm2d(group_width)
        self.conv_expand = nn.Conv2d(group_width, out_planes, 1, bias=False)
        self.bn_expand = nn.BatchNorm2d(out_planes)
        self.shortcut = nn.Sequential()
        if in_planes != out_planes:
            self.shortcut.add_module("shortcut_conv", nn.Conv2d(in_planes, out_planes, 1, stride=stride, bias=False))
            self.shortcut.add_module("shortcut_bn", nn.BatchNorm2d(out_planes))

    def forward(self, x):
        bottleneck = self.conv_reduce.forward(x)
        bottleneck = F.relu(self.bn_reduce.forward(bottleneck), inplace=True)
        bottleneck = self.conv_grouped.forward(bottleneck)
        bottleneck = F.relu(self.bn_grouped.forward(bottleneck), inplace=True)
        bottleneck = self.conv_expand.forward(bottleneck)
        bottleneck = self.bn_expand.forward(bottleneck)
        residual = self.shortcut.forward(x)
        return F.relu(residual + bottleneck, inplace=True)


class ResNeXt(nn.Module):
    def __init__(self, layers, cardinality, bottleneck_width, num_classes=1000):
        super().__init__()
        self.conv_1_7x7 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn_1 = nn.BatchNorm2d(64)
        in_planes = 64
        for i, count in enumerate(layers):
            # every stage is twice as wide as the one before
            width = bottleneck_width * 2**i
            stage = nn.Sequential()
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                stage.add_module(f"bottleneck_{j}", GroupedBlock(in_planes, cardinality, width, stride))
                in_planes = 2 * cardinality * width
            setattr(self, f"stage_{i + 1}", stage)
        self.fc = nn.Linear(in_planes, num_classes)

    def forward(self, x):
        x = F.relu(self.bn_1(self.conv_1_7x7(x)), inplace=True)
        x = F.max_pool2d(x, 3, 2, 1)
        for stage in (self.stage_1, self.stage_2, self.stage_3, self.stage_4):
            x = stage(x)
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return self.fc(x.view(x.size(0), -1))


def resnext50_32x4d():
    return ResNeXt(layers=(3, 4, 6, 3), cardinality=32, bottleneck_width=4)
