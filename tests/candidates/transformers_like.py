"""ResNet with the class structure of a model library: embeddings, encoder, stages, layers, a config object."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

ACT2FN = {"relu": nn.ReLU, "gelu": nn.GELU}


@dataclass
class ResNetConfig:
    num_channels: int = 3
    embedding_size: int = 64
    hidden_sizes: list[int] = field(default_factory=lambda: [256, 512, 1024, 2048])
    depths: list[int] = field(default_factory=lambda: [3, 4, 6, 3])
    hidden_act: str = "relu"
    num_labels: int = 1000


class ResNetConvLayer(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, activation="relu"):
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel_size=kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.normalization = nn.BatchNorm2d(out_channels)
        self.activation = ACT2FN[activation]() if activation is not None else nn.Identity()

    def forward(self, input: Tensor) -> Tensor:
        hidden_state = self.convolution(input)
        hidden_state = self.normalization(hidden_state)
        return self.activation(hidden_state)


class ResNetEmbeddings(nn.Module):
    """The stem: an aggressive 7x7 convolution and a pooling."""

    def __init__(self, config: ResNetConfig):
        super().__init__()
        self.embedder = ResNetConvLayer(config.num_channels, config.embedding_size, kernel_size=7, stride=2)
        self.pooler = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.num_channels = config.num_channels

    def forward(self, pixel_values: Tensor) -> Tensor:
        if pixel_values.shape[1] != self.num_channels:
            raise ValueError(f"the model was configured for {self.num_channels} channels")
        return self.pooler(self.embedder(pixel_values))


class ResNetShortCut(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 2):
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
        self.normalization = nn.BatchNorm2d(out_channels)

    def forward(self, input: Tensor) -> Tensor:
        return self.normalization(self.convolution(input))


class ResNetBottleNeckLayer(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int, activation: str, reduction: int = 4):
        super().__init__()
        should_apply_shortcut = in_channels != out_channels or stride != 1
        reduces_channels = out_channels // reduction
        self.shortcut = ResNetShortCut(in_channels, out_channels, stride) if should_apply_shortcut else nn.Identity()
        self.layer = nn.Sequential(
            ResNetConvLayer(in_channels, reduces_channels, kernel_size=1),
            ResNetConvLayer(reduces_channels, reduces_channels, stride=stride),
            ResNetConvLayer(reduces_channels, out_channels, kernel_size=1, activation=None),
        )
        self.activation = ACT2FN[activation]()

    def forward(self, hidden_state: Tensor) -> Tensor:
        residual = hidden_state
        hidden_state = self.layer(hidden_state)
        residual = self.shortcut(residual)
        hidden_state += residual
        return self.activation(hidden_state)


class ResNetStage(nn.Module):
    def __init__(self, config: ResNetConfig, in_channels: int, out_channels: int, stride: int, depth: int):
        super().__init__()
        first = ResNetBottleNeckLayer(in_channels, out_channels, stride, config.hidden_act)
        rest = [ResNetBottleNeckLayer(out_channels, out_channels, 1, config.hidden_act) for _ in range(depth - 1)]
        self.layers = nn.Sequential(first, *rest)

    def forward(self, input: Tensor) -> Tensor:
        hidden_state = input
        for layer in self.layers:
            hidden_state = layer(hidden_state)
        return hidden_state


class ResNetEncoder(nn.Module):
    def __init__(self, config: ResNetConfig):
        super().__init__()
        sizes = [config.embedding_size, *config.hidden_sizes]
        self.stages = nn.ModuleList(
            ResNetStage(config, cin, cout, 1 if i == 0 else 2, depth)
            for i, (cin, cout, depth) in enumerate(zip(sizes, sizes[1:], config.depths, strict=False))
        )

    def forward(self, hidden_state: Tensor) -> Tensor:
        for stage_module in self.stages:
            hidden_state = stage_module(hidden_state)
        return hidden_state


class ResNetForImageClassification(nn.Module):
    def __init__(self, config: ResNetConfig | None = None):
        super().__init__()
        config = config or ResNetConfig()
        self.embedder = ResNetEmbeddings(config)
        self.encoder = ResNetEncoder(config)
        self.pooler = nn.AdaptiveAvgPool2d((1, 1))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(config.hidden_sizes[-1], config.num_labels))

    def forward(self, pixel_values: Tensor) -> torch.Tensor:
        embedding_output = self.embedder(pixel_values)
        encoder_output = self.encoder(embedding_output)
        pooled_output = self.pooler(encoder_output)
        return self.classifier(pooled_output)
