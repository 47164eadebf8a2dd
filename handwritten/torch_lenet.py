"""LeNet-5 in torch: two convolutions with pooling behind them, a third that sees the whole map, two linear maps.

The NumPy twin's tensors load as they are, and the other way round.

Source: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, figure 2. As is usual today C3
looks at all maps of S2, a pooling has no weights of its own, and the last layer gives logits.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.torch_activations import activation as activation_called
from layerdiff.handwritten.torch_layers import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d

__all__ = ["LeNet5", "build"]


class LeNet5(nn.Module):
    """Classifies 32x32 images.

    Args:
        pool: the mean of each 2x2 window ("avg"), or the largest value ("max"); one layer, used twice.
        activation: after every layer with weights but the last, see `torch_activations.ACTIVATIONS`.
        in_channels: of the images.
        num_classes: logits.

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
    ) -> None:
        super().__init__()
        if pool not in {"avg", "max"}:
            raise refusal(
                f"LeNet5: unknown pool, got {pool!r}, expected avg or max", help="the paper's takes the mean, 'avg'"
            )
        self.conv1 = Conv2d(in_channels, 6, 5)
        self.activation = activation_called("LeNet5", activation)
        self.pool = AvgPool2d(2) if pool == "avg" else MaxPool2d(2)
        self.conv2 = Conv2d(6, 16, 5)
        # C5: on a map of 5x5 the same as a linear map of its 400 values, and the paper calls it a convolution.
        self.conv3 = Conv2d(16, 120, 5)
        self.flatten = Flatten()
        self.fc1 = Linear(120, 84)
        self.fc2 = Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
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
        logits: Tensor = self.fc2(x)
        return logits


def build(
    *, pool: Literal["avg", "max"] = "avg", activation: str = "tanh", in_channels: int = 1, num_classes: int = 10
) -> LeNet5:
    """The network in training mode as torch builds them, freshly initialised.

    Raises:
        ValueError: as `LeNet5`.
    """
    return LeNet5(pool=pool, activation=activation, in_channels=in_channels, num_classes=num_classes)
