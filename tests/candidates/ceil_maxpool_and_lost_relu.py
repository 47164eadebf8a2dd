"""ResNet-50 after a Caffe model: its pooling rounds up and does not pad."""

from collections import OrderedDict

from torch import nn


class CaffeBottleneck(nn.Module):
    def __init__(self, inplanes, planes, stride, project):
        super().__init__()
        self.branch2 = nn.Sequential(
            OrderedDict(
                a=nn.Conv2d(inplanes, planes, 1, bias=False),
                a_bn=nn.BatchNorm2d(planes),
                a_relu=nn.ReLU(inplace=True),
                b=nn.Conv2d(planes, planes, 3, stride, 1, bias=False),
                b_bn=nn.BatchNorm2d(planes),
                b_relu=nn.ReLU(inplace=True),
                c=nn.Conv2d(planes, 4 * planes, 1, bias=False),
                c_bn=nn.BatchNorm2d(4 * planes),
            )
        )
        self.branch1 = None
        if project:
            self.branch1 = nn.Sequential(
                nn.Conv2d(inplanes, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        side = x if self.branch1 is None else self.branch1(x)
        return self.relu(self.branch2(x) + side)


class CaffeResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn_conv1 = nn.BatchNorm2d(64)
        self.conv1_relu = nn.ReLU(inplace=True)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        inplanes = 64
        for number, (planes, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=2):
            for letter in "abcdef"[:count]:
                first = letter == "a"
                block = CaffeBottleneck(inplanes, planes, 2 if first and number > 2 else 1, first)
                self.add_module(f"res{number}{letter}", block)
                inplanes = planes * 4
        # the prototxt has no layer of this name, so none is made
        self.res4c.branch2.b_relu = nn.Identity()
        self.pool5 = nn.AdaptiveAvgPool2d(1)
        self.fc1000 = nn.Linear(2048, 1000)

    def forward(self, x):
        *layers, fc = self.children()
        for layer in layers:
            x = layer(x)
        return fc(x.flatten(1))
