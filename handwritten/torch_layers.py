"""The layers of the torch half in one place: nine modules made of tensor operations, with torch's names.

Those with arithmetic worth a file have one of their own; the small ones are here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from layerdiff.handwritten._checks import check_probability, refusal
from layerdiff.handwritten.geometry import flattened_shape
from layerdiff.handwritten.torch_conv import Conv2d
from layerdiff.handwritten.torch_norm import BatchNorm2d
from layerdiff.handwritten.torch_pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

__all__ = [
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "ReLU",
]


class ReLU(nn.Module):
    """`max(x, 0)`, never in place, so that its input stays what a hook saw.

    Source: torch.nn.ReLU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape and dtype of numbers in, the same out."""
        # `x` where it is above 0, else 0; NaN stays. Its gradient is torch's: 0 at 0, where `maximum`'s is a half, and
        # it passes through NaN, where `clamp`'s is 0. A product with `x > 0` would make NaN of infinity.
        return torch.threshold(x, 0, 0)


class Linear(nn.Module):
    """`x @ weight.T + bias`.

    Attributes:
        weight: (out_features, in_features), uniform in ±1/sqrt(in_features) as torch draws it.
        bias: (out_features,), drawn alike, or None.

    Source: torch.nn.Linear.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_features).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Applies the map to the last axis.

        Args:
            x: (..., in_features), dtype of the weight.

        Returns:
            (..., out_features), dtype of `x`.

        Raises:
            ValueError: the last axis is not `in_features` long.
        """
        if x.shape[-1] != self.in_features:
            raise refusal(
                f"Linear: wrong number of features, got shape {tuple(x.shape)}, expected (..., {self.in_features})",
                help="was the image flattened, and pooled before that?",
            )
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Flatten(nn.Module):
    """Joins the axes from `start_dim` to `end_dim`, both included, into one.

    Source: torch.nn.Flatten.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) becomes (n, c*h*w); any dtype.

        Raises:
            ValueError: `x` has no such axes, or they are in the wrong order.
        """
        return x.reshape(flattened_shape("Flatten", x.shape, self.start_dim, self.end_dim))

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Dropout(nn.Module):
    """Zeroes each value with probability `p` while training, and divides the rest by `1 - p`; else the identity.

    Source: Srivastava et al. 2014, in the inverted form; torch.nn.Dropout, with the same draws from the same seed.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_probability("Dropout", p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape and floating dtype in, the same out."""
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        kept = torch.empty_like(x).bernoulli_(1 - self.p)
        return x * (kept / (1 - self.p))

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return f"p={self.p}"
