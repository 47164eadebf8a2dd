"""Activations in torch, made of tensor operations, with torch's names. The rectifier is in `torch_layers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.torch_layers import ReLU

__all__ = ["ACTIVATIONS", "ELU", "SELU", "LeakyReLU", "Sigmoid", "Tanh", "activation"]

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


class LeakyReLU(nn.Module):
    """`x` where it is positive, else `negative_slope * x`.

    Source: torch.nn.LeakyReLU.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Any shape and floating dtype in, the same out."""
        return torch.where(x > 0, x, x * self.negative_slope)

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return f"negative_slope={self.negative_slope}"


class ELU(nn.Module):
    """`x` where it is positive, else `alpha * (exp(x) - 1)`.

    Source: Clevert et al. 2015; torch.nn.ELU.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """Any shape and floating dtype in, the same out."""
        return _bent(x, self.alpha)

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return f"alpha={self.alpha}"


class SELU(nn.Module):
    """An ELU with the two constants that keep a mean of 0 and a variance of 1.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017; torch.nn.SELU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape and floating dtype in, the same out."""
        return _SELU_SCALE * _bent(x, _SELU_ALPHA)


class Sigmoid(nn.Module):
    """`1 / (1 + exp(-x))`.

    Source: torch.nn.Sigmoid.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape and floating dtype in, the same out."""
        return torch.sigmoid(x)


class Tanh(nn.Module):
    """The hyperbolic tangent.

    Source: torch.nn.Tanh.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape and floating dtype in, the same out."""
        return torch.tanh(x)


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {"relu": ReLU, "leaky_relu": LeakyReLU, "elu": ELU, "selu": SELU, "sigmoid": Sigmoid, "tanh": Tanh}
)
"""The functions of single values that a network can be built with, by torch.nn.functional's names."""


def activation(where: str, name: str) -> nn.Module:
    """The module called `name`, with its own defaults.

    Raises:
        ValueError: there is none; the error lists those there are.
    """
    if name not in ACTIVATIONS:
        raise refusal(
            f"{where}: unknown activation, got {name!r}, expected one of {', '.join(ACTIVATIONS)}",
            help="LeNet-5 was trained with 'tanh'; 'relu' is what is used today",
        )
    return ACTIVATIONS[name]()


def _bent(x: Tensor, alpha: float) -> Tensor:
    # The exponential of a large positive x would be infinite, and its gradient, times the 0 of `where`, NaN.
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))
