"""Backbone in the manner of a detection toolbox: layers have computed names and are fetched with getattr."""

from types import MappingProxyType

import torch.nn as nn


def build_norm_layer(num_features, postfix):
    return f"bn{postfix}", nn.BatchNorm2d(num_features)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.norm1_name, norm1 = build_norm_layer(planes, postfix=1)
        self.norm2_name, norm2 = build_norm_layer(planes, postfix=2)
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.add_module(self.norm1_name, norm1)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.add_module(self.norm2_name, norm2)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    @property
    def norm1(self):
        return getattr(self, self.norm1_name)

    @property
    def norm2(self):
        return getattr(self, self.norm2_name)

    def forward(self, x):
        def _inner_forward(x):
            identity = x
            out = self.conv1(x)
            out = self.norm1(out)
            out = self.relu(out)
            out = self.conv2(out)
            out = self.norm2(out)
            if self.downsample is not None:
                identity = self.downsample(x)
            out += identity
            return out

        return self.relu(_inner_forward(x))


class ResNet(nn.Module):
    arch_settings = MappingProxyType({18: (2, 2, 2, 2), 34: (3, 4, 6, 3)})

    def __init__(self, depth, num_classes=1000, base_channels=64, out_indices=(3,)):
        super().__init__()
        if depth not in self.arch_settings:
            raise KeyError(f"invalid depth {depth} for resnet")
        self.out_indices = out_indices
        self.inplanes = base_channels
        self._make_stem_layer(3, base_channels)
        self.res_layers = []
        for i, num_blocks in enumerate(self.arch_settings[depth]):
            res_layer = self.make_res_layer(base_channels * 2**i, num_blocks, stride=1 if i == 0 else 2)
            layer_name = f"layer{i + 1}"
            self.add_module(layer_name, res_layer)
            self.res_layers.append(layer_name)
        self.cls_head = nn.Linear(self.inplanes, num_classes)

    def _make_stem_layer(self, in_channels, stem_channels):
        self.conv1 = nn.Conv2d(in_channels, stem_channels, kernel_size=7, stride=2, padding=3, bias=False)
        self.norm1_name, norm1 = build_norm_layer(stem_channels, postfix=1)
        self.add_module(self.norm1_name, norm1)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

    @property
    def norm1(self):
        return getattr(self, self.norm1_name)

    def make_res_layer(self, planes, num_blocks, stride):
        downsample = None
        if stride != 1 or self.inplanes != planes:
            conv = nn.Conv2d(self.inplanes, planes, kernel_size=1, stride=stride, bias=False)
            downsample = nn.Sequential(conv, build_norm_layer(planes, postfix="")[1])
        layers = [BasicBlock(self.inplanes, planes, stride, downsample)]
        self.inplanes = planes
        layers += [BasicBlock(self.inplanes, planes) for _ in range(1, num_blocks)]
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.norm1(self.conv1(x))))
        outs = []
        for i, layer_name in enumerate(self.res_layers):
            x = getattr(self, layer_name)(x)
            if i in self.out_indices:
                outs.append(x)
        x = outs[-1]
        return self.cls_head(x.mean(dim=(-2, -1)))
