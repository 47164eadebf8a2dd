"""The residual networks in torch, read from the image to the logits.

Names and order of the modules are torchvision's, so `load_state_dict(strict=True)` is the whole loading story.

Source: He et al., "Deep Residual Learning for Image Recognition", 2015, table 1; torchvision.models.resnet for names.
"""

from __future__ import annotations

from torch import Tensor, nn

from layerdiff.handwritten.configurations import Configuration, Stage, configuration
from layerdiff.handwritten.torch_blocks import (
    BasicConvBlock,
    BasicIdentityBlock,
    BasicPlainBlock,
    BottleneckConvBlock,
    BottleneckIdentityBlock,
    BottleneckPlainBlock,
    Branch,
)
from layerdiff.handwritten.torch_layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
)

__all__ = [
    "ResNet",
    "build",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "wide_resnet50_2",
]

_RESIDUAL: dict[str, tuple[type[Branch], type[Branch]]] = {
    "basic": (BasicConvBlock, BasicIdentityBlock),
    "bottleneck": (BottleneckConvBlock, BottleneckIdentityBlock),
}
_PLAIN: dict[str, tuple[type[Branch], type[Branch]]] = {
    "basic": (BasicPlainBlock, BasicPlainBlock),
    "bottleneck": (BottleneckPlainBlock, BottleneckPlainBlock),
}


class ResNet(nn.Module):
    """Classifies images: a stem, four stages of residual blocks, the mean over the image, one linear map.

    Args:
        config: which network of the family.
        num_classes: logits.
        in_channels: of the images.
        residual: whether there are shortcuts; without them the same layers make the paper's plain network.
        stem_bias: whether the first convolution has a bias, which the batch norm behind it makes idle.
    """

    def __init__(
        self,
        config: Configuration,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        residual: bool = True,
        stem_bias: bool = False,
    ) -> None:
        super().__init__()
        first, *_, last = config.stages
        blocks = (_RESIDUAL if residual else _PLAIN)[config.block]
        self.conv1 = Conv2d(in_channels, first.in_channels, kernel_size=7, stride=2, padding=3, bias=stem_bias)
        self.bn1 = BatchNorm2d(first.in_channels)
        self.relu = ReLU()
        self.maxpool = MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (_stage(stage, blocks, config) for stage in config.stages)
        self.avgpool: nn.Module = AdaptiveAvgPool2d((1, 1))
        self.flatten = Flatten()
        self.fc = Linear(last.out_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of `x`.

        Args:
            x: (n, in_channels, h, w), dtype of the weights, normalised as the weights' recipe says.

        Returns:
            (n, num_classes), dtype of `x`.
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        logits: Tensor = self.fc(self.flatten(self.avgpool(x)))
        return logits


def _stage(stage: Stage, blocks: tuple[type[Branch], type[Branch]], config: Configuration) -> nn.Sequential:
    changing, keeping = blocks
    first = changing if stage.changes_shape else keeping
    return nn.Sequential(
        first(stage.in_channels, stage.channels, stride=stage.stride, config=config),
        *(keeping(stage.out_channels, stage.channels, stride=1, config=config) for _ in range(stage.blocks - 1)),
    )


def build(
    name: str, *, num_classes: int = 1000, in_channels: int = 3, residual: bool = True, stem_bias: bool = False
) -> ResNet:
    """The network called `name`, in training mode as torch builds them, freshly initialised.

    Raises:
        ValueError: there is none of that name; the error lists those there are.
    """
    return ResNet(
        configuration(name),
        num_classes=num_classes,
        in_channels=in_channels,
        residual=residual,
        stem_bias=stem_bias,
    )


def resnet18() -> ResNet:
    """ResNet-18: basic blocks, 11.7 million parameters."""
    return build("resnet18")


def resnet34() -> ResNet:
    """ResNet-34: basic blocks, 21.8 million parameters."""
    return build("resnet34")


def resnet50() -> ResNet:
    """ResNet-50: bottlenecks, 25.6 million parameters."""
    return build("resnet50")


def resnet101() -> ResNet:
    """ResNet-101: bottlenecks, 44.5 million parameters."""
    return build("resnet101")


def resnet152() -> ResNet:
    """ResNet-152: bottlenecks, 60.2 million parameters."""
    return build("resnet152")


def wide_resnet50_2() -> ResNet:
    """ResNet-50 with 3x3 convolutions twice as wide, 68.9 million parameters."""
    return build("wide_resnet50_2")


def resnext50_32x4d() -> ResNet:
    """ResNet-50 with 3x3 convolutions in 32 groups of 4 channels, 25.0 million parameters."""
    return build("resnext50_32x4d")
