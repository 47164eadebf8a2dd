"""The activation layers of the NumPy half: thin objects with torch's names around the pure functions of `numpy_ops`.

Each gives the shape it takes, and does no work that a convention counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.counting import Work
from layerdiff.handwritten.numpy_layer import Layer
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.shape_pass import Shape

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "SELU",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "activation",
]


class Activation(Layer):
    """A function of each value, or of the values along an axis."""

    def output_shape(self, shape: Shape) -> Shape:
        """Any shape in, the same out."""
        return shape

    def work(self, shape: Shape) -> Work:
        """None that is counted."""
        return Work()


class ReLU(Activation):
    """`max(x, 0)`. Source: torch.nn.ReLU."""

    def forward(self, x: Array) -> Array:
        """Any shape and floating dtype in, the same out."""
        return ops.relu(x)


class LeakyReLU(Activation):
    """`x` where it is positive, else `negative_slope * x`. Source: torch.nn.LeakyReLU."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Array:
        """Any shape and floating dtype in, the same out."""
        return ops.leaky_relu(x, self.negative_slope)


class ELU(Activation):
    """`x` where it is positive, else `alpha * (exp(x) - 1)`. Source: torch.nn.ELU."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        """Any shape and floating dtype in, the same out."""
        return ops.elu(x, self.alpha)


class SELU(Activation):
    """The scaled ELU whose two constants keep mean 0 and variance 1. Source: torch.nn.SELU."""

    def forward(self, x: Array) -> Array:
        """Any shape and floating dtype in, the same out."""
        return ops.selu(x)


class Sigmoid(Activation):
    """`1 / (1 + exp(-x))`. Source: torch.nn.Sigmoid."""

    def forward(self, x: Array) -> Array:
        """Any shape and floating dtype in, the same out."""
        return ops.sigmoid(x)


class Tanh(Activation):
    """The hyperbolic tangent. Source: torch.nn.Tanh."""

    def forward(self, x: Array) -> Array:
        """Any shape and floating dtype in, the same out."""
        return ops.tanh(x)


class Softmax(Activation):
    """`exp(x)` along `dim`, divided by its sum. Source: torch.nn.Softmax, whose `dim` has no default to rely on."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Array) -> Array:
        """Any shape that has `dim` and floating dtype in, the same out."""
        return ops.softmax(x, self.dim)


class LogSoftmax(Activation):
    """The logarithm of the softmax along `dim`. Source: torch.nn.LogSoftmax."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Array) -> Array:
        """Any shape that has `dim` and floating dtype in, the same out."""
        return ops.log_softmax(x, self.dim)


ACTIVATIONS: Mapping[str, Callable[[], Layer]] = MappingProxyType(
    {"relu": ReLU, "leaky_relu": LeakyReLU, "elu": ELU, "selu": SELU, "sigmoid": Sigmoid, "tanh": Tanh}
)
"""The functions of single values that a network can be built with, by torch.nn.functional's names."""


def activation(where: str, name: str) -> Layer:
    """The layer called `name`, with its own defaults.

    Raises:
        ValueError: there is none; the error lists those there are.
    """
    if name not in ACTIVATIONS:
        raise refusal(
            f"{where}: unknown activation, got {name!r}, expected one of {', '.join(ACTIVATIONS)}",
            help="LeNet-5 was trained with 'tanh'; 'relu' is what is used today",
        )
    return ACTIVATIONS[name]()
