"""LeNet-5 in NumPy: two convolutions with pooling behind them, a third that sees the whole map, two linear maps.

Source: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, figure 2. As is usual today C3
looks at all maps of S2, a pooling has no weights of its own, and the last layer gives logits.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_activation_layers import activation as activation_called
from layerdiff.handwritten.numpy_layers import AvgPool2d, Conv2d, Flatten, Layer, Linear, MaxPool2d
from layerdiff.handwritten.numpy_ops import Grade
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["LeNet5", "build"]


class LeNet5(Layer):
    """Classifies 32x32 images.

    Args:
        pool: the mean of each 2x2 window ("avg"), or the largest value ("max"); one layer, used twice.
        activation: after every layer with weights but the last, see `numpy_activation_layers.ACTIVATIONS`.
        in_channels: of the images.
        num_classes: logits.
        grade: of the convolutions, see `numpy_ops.conv2d`.

    Raises:
        ValueError: there is no such pooling or activation.
    """

    def __init__(
        self,
        *,
        pool: Literal["avg", "max"] = "avg",
        activation: str = "tanh",
        in_channels: int = 1,
        num_classes: int = 10,
        grade: Grade = "gemm",
    ) -> None:
        super().__init__()
        if pool not in {"avg", "max"}:
            raise refusal(
                f"LeNet5: unknown pool, got {pool!r}, expected avg or max", help="the paper's takes the mean, 'avg'"
            )
        self.conv1 = Conv2d(in_channels, 6, 5, grade=grade)
        self.activation = activation_called("LeNet5", activation)
        self.pool = AvgPool2d(2) if pool == "avg" else MaxPool2d(2)
        self.conv2 = Conv2d(6, 16, 5, grade=grade)
        # C5: on a map of 5x5 the same as a linear map of its 400 values, and the paper calls it a convolution.
        self.conv3 = Conv2d(16, 120, 5, grade=grade)
        self.flatten = Flatten()
        self.fc1 = Linear(120, 84)
        self.fc2 = Linear(84, num_classes)

    def forward(self, x: Array) -> Array:
        """The logits of `x`.

        Args:
            x: (n, in_channels, 32, 32), dtype of the weights.

        Returns:
            (n, num_classes), dtype of `x`.
        """
        x = self.pool(self.activation(self.conv1(x)))
        x = self.pool(self.activation(self.conv2(x)))
        x = self.flatten(self.activation(self.conv3(x)))
        x = self.activation(self.fc1(x))
        return self.fc2(x)


def build(
    *,
    pool: Literal["avg", "max"] = "avg",
    activation: str = "tanh",
    in_channels: int = 1,
    num_classes: int = 10,
    grade: Grade = "gemm",
    seed: int = 0,
) -> LeNet5:
    """The network in eval mode, float32, its weights drawn from `seed` as each layer draws them.

    Raises:
        ValueError: as `LeNet5`.
    """
    network = LeNet5(pool=pool, activation=activation, in_channels=in_channels, num_classes=num_classes, grade=grade)
    generator = np.random.default_rng(seed)
    for _, layer in network.named_layers():
        layer.initialise(generator)
    return network
