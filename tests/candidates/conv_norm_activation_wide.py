"""Wide ResNet-50-2 built from one fused building block, Conv-Norm-Activation."""

import torch
from torch import nn


class ConvNormActivation(nn.Sequential):
    """A Sequential that knows how to build itself."""

    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1, activation_layer=nn.ReLU):
        padding = (kernel_size - 1) // 2
        layers = [
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        if activation_layer is not None:
            layers.append(activation_layer(inplace=True))
        super().__init__(*layers)
        self.out_channels = out_channels


class WideBottleneck(nn.Module):
    def __init__(self, inplanes, planes, stride, width_factor=2):
        super().__init__()
        width, outplanes = planes * width_factor, planes * 4
        self.squeeze = ConvNormActivation(inplanes, width, 1)
        self.process = ConvNormActivation(width, width, 3, stride)
        self.expand = ConvNormActivation(width, outplanes, 1, activation_layer=None)
        if inplanes != outplanes:
            self.resize = ConvNormActivation(inplanes, outplanes, 1, stride, activation_layer=None)
        else:
            self.resize = nn.Identity()
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.activation(self.resize(x) + self.expand(self.process(self.squeeze(x))))


class WideResNet(nn.Module):
    def __init__(self, repeats=(3, 4, 6, 3), num_classes=1000):
        super().__init__()
        self.features = nn.Sequential()
        self.features.append(ConvNormActivation(3, 64, 7, 2))
        self.features.append(nn.MaxPool2d(3, 2, 1))
        inplanes = 64
        for i, repeat in enumerate(repeats):
            planes = 64 * 2**i
            for j in range(repeat):
                stride = 2 if i and j == 0 else 1
                self.features.append(WideBottleneck(inplanes, planes, stride))
                inplanes = planes * 4
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=0.0), nn.Linear(inplanes, num_classes))

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))
