"""The residual networks in NumPy, read from the image to the logits.

Names and order of the layers are torchvision's, so torchvision's tensors load as they are.

Source: He et al., "Deep Residual Learning for Image Recognition", 2015, table 1; torchvision.models.resnet for names.
"""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.configurations import Configuration, Stage, configuration
from layerdiff.handwritten.numpy_blocks import (
    BasicConvBlock,
    BasicIdentityBlock,
    BasicPlainBlock,
    BottleneckConvBlock,
    BottleneckIdentityBlock,
    BottleneckPlainBlock,
    Branch,
)
from layerdiff.handwritten.numpy_layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from layerdiff.handwritten.numpy_ops import Grade
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["ResNet", "build"]

_RESIDUAL: dict[str, tuple[type[Branch], type[Branch]]] = {
    "basic": (BasicConvBlock, BasicIdentityBlock),
    "bottleneck": (BottleneckConvBlock, BottleneckIdentityBlock),
}
_PLAIN: dict[str, tuple[type[Branch], type[Branch]]] = {
    "basic": (BasicPlainBlock, BasicPlainBlock),
    "bottleneck": (BottleneckPlainBlock, BottleneckPlainBlock),
}


class ResNet(Layer):
    """Classifies images: a stem, four stages of residual blocks, the mean over the image, one linear map.

    Args:
        config: which network of the family.
        grade: of the convolutions, see `numpy_ops.conv2d`.
        num_classes: logits.
        in_channels: of the images.
        residual: whether there are shortcuts; without them the same layers make the paper's plain network.
        stem_bias: whether the first convolution has a bias, which the batch norm behind it makes idle.
    """

    def __init__(
        self,
        config: Configuration,
        *,
        grade: Grade = "gemm",
        num_classes: int = 1000,
        in_channels: int = 3,
        residual: bool = True,
        stem_bias: bool = False,
    ) -> None:
        super().__init__()
        first, *_, last = config.stages
        blocks = (_RESIDUAL if residual else _PLAIN)[config.block]
        self.conv1 = Conv2d(in_channels, first.in_channels, 7, stride=2, padding=3, bias=stem_bias, grade=grade)
        self.bn1 = BatchNorm2d(first.in_channels)
        self.relu = ReLU()
        self.maxpool = MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(stage, blocks, config, grade) for stage in config.stages
        )
        self.avgpool: Layer = AdaptiveAvgPool2d((1, 1))
        self.flatten = Flatten()
        self.fc = Linear(last.out_channels, num_classes)

    def forward(self, x: Array) -> Array:
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
        return self.fc(self.flatten(self.avgpool(x)))


def _stage(stage: Stage, blocks: tuple[type[Branch], type[Branch]], config: Configuration, grade: Grade) -> Sequential:
    changing, keeping = blocks
    first = changing if stage.changes_shape else keeping
    rest = (
        keeping(stage.out_channels, stage.channels, stride=1, config=config, grade=grade)
        for _ in range(stage.blocks - 1)
    )
    return Sequential(first(stage.in_channels, stage.channels, stride=stage.stride, config=config, grade=grade), *rest)


def build(
    name: str,
    *,
    grade: Grade = "gemm",
    num_classes: int = 1000,
    in_channels: int = 3,
    residual: bool = True,
    stem_bias: bool = False,
    seed: int = 0,
) -> ResNet:
    """The network called `name`, in eval mode, float32, its weights drawn at random from `seed`.

    Convolutions are drawn as torchvision's ResNet draws them, the last layer as torch does; batch norms begin with
    scale 1, shift 0, mean 0 and variance 1. The same seed gives the same weights.

    Raises:
        ValueError: there is no network, or no grade, of that name; the error lists those there are.
    """
    network = ResNet(
        configuration(name),
        grade=grade,
        num_classes=num_classes,
        in_channels=in_channels,
        residual=residual,
        stem_bias=stem_bias,
    )
    generator = np.random.default_rng(seed)
    for _, layer in network.named_layers():
        layer.initialise(generator)
    return network
