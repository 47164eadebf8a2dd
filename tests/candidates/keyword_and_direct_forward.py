"""Very explicit: every argument by its name, and `forward` called by its name too."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Projection(nn.Module):
    def __init__(self, in_features, out_features, step):
        super().__init__()
        self.linear_map = nn.Conv2d(
            in_channels=in_features, out_channels=out_features, kernel_size=1, stride=step, bias=False
        )
        self.normalise = nn.BatchNorm2d(num_features=out_features)

    def forward(self, signal):
        return self.normalise.forward(input=self.linear_map.forward(input=signal))


class Unit(nn.Module):
    def __init__(self, in_features, out_features, step):
        super().__init__()
        self.first = nn.Conv2d(
            in_channels=in_features, out_channels=out_features, kernel_size=3, stride=step, padding=1, bias=False
        )
        self.first_norm = nn.BatchNorm2d(num_features=out_features)
        self.second = nn.Conv2d(
            in_channels=out_features, out_channels=out_features, kernel_size=3, padding=1, bias=False
        )
        self.second_norm = nn.BatchNorm2d(num_features=out_features)
        self.projection = None
        if step != 1:
            self.projection = Projection(in_features=in_features, out_features=out_features, step=step)

    def forward(self, signal):
        residual = self.first_norm(input=self.first(input=signal))
        residual = F.relu(input=residual, inplace=False)
        residual = self.second_norm(input=self.second(input=residual))
        if self.projection is not None:
            signal = self.projection.forward(signal=signal)
        return F.relu(input=torch.add(input=residual, other=signal))


class ExplicitResNet(nn.Module):
    def __init__(self, number_of_classes=1000):
        super().__init__()
        self.input_convolution = nn.Conv2d(
            in_channels=3, out_channels=64, kernel_size=7, stride=2, padding=3, bias=False
        )
        self.input_norm = nn.BatchNorm2d(num_features=64)
        self.units = nn.ModuleList()
        for in_features, out_features, step in (
            (64, 64, 1),
            (64, 64, 1),
            (64, 128, 2),
            (128, 128, 1),
            (128, 256, 2),
            (256, 256, 1),
            (256, 512, 2),
            (512, 512, 1),
        ):
            self.units.append(Unit(in_features=in_features, out_features=out_features, step=step))
        self.fc = nn.Linear(in_features=512, out_features=number_of_classes)

    def forward(self, image):
        signal = self.input_norm.forward(self.input_convolution.forward(image))
        signal = F.max_pool2d(input=F.relu(input=signal), kernel_size=3, stride=2, padding=1)
        for unit in self.units:
            signal = unit.forward(signal=signal)
        signal = F.adaptive_avg_pool2d(input=signal, output_size=1)
        signal = torch.flatten(input=signal, start_dim=1)
        return self.fc(input=signal)
