"""The layers of the NumPy half in one place: thin objects with torch's names around the pure functions of `numpy_ops`.

A layer holds what must be remembered between two calls (weights, running estimates, the mode); the arithmetic is in
the function it calls. Those that share a theme have a file of their own; the others are here.
"""

from __future__ import annotations

import copy
import math
from typing import ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten._checks import check_probability, refusal
from layerdiff.handwritten.counting import Work
from layerdiff.handwritten.geometry import flattened_shape
from layerdiff.handwritten.numpy_activation_layers import (
    ELU,
    SELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from layerdiff.handwritten.numpy_conv_layer import Conv2d
from layerdiff.handwritten.numpy_layer import Layer
from layerdiff.handwritten.numpy_norm_layer import BatchNorm2d
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_pool_layers import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from layerdiff.handwritten.shape_pass import Shape

__all__ = [
    "ELU",
    "SELU",
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
]


class Linear(Layer):
    """`x @ weight.T + bias`.

    Attributes:
        weight: (out_features, in_features) float32, zeros until drawn or loaded.
        bias: (out_features,) float32, alike, or None.

    Source: torch.nn.Linear.
    """

    array_names: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Array
    bias: Array | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = np.zeros((out_features, in_features), dtype=np.float32)
        self.bias = np.zeros(out_features, dtype=np.float32) if bias else None

    def initialise(self, generator: np.random.Generator) -> None:
        """Draws weight and bias uniformly from ±1/sqrt(in_features), as torch does."""
        bound = 1 / math.sqrt(self.in_features)
        for name, array in self.arrays.items():
            self.arrays[name] = generator.uniform(-bound, bound, array.shape).astype(np.float32)

    def forward(self, x: Array) -> Array:
        """(..., in_features) to (..., out_features), dtype of `x`, which is the weight's."""
        return ops.linear(x, self.weight, self.bias)

    def output_shape(self, shape: Shape) -> Shape:
        """(..., in_features) to (..., out_features)."""
        if shape[-1:] != (self.in_features,):
            raise refusal(
                f"Linear: wrong number of features, got shape {shape}, expected (..., {self.in_features})",
                help="was the image flattened, and pooled before that?",
            )
        return (*shape[:-1], self.out_features)

    def work(self, shape: Shape) -> Work:
        """Each output takes a product for each feature, and a bias where there is one."""
        outputs = math.prod(self.output_shape(shape))
        return Work(products=outputs * self.in_features, linear_biases=0 if self.bias is None else outputs)


class Flatten(Layer):
    """Joins the axes from `start_dim` to `end_dim` into one. Source: torch.nn.Flatten."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Array) -> Array:
        """(n, c, h, w) to (n, c*h*w), dtype of `x`."""
        return ops.flatten(x, self.start_dim, self.end_dim)

    def output_shape(self, shape: Shape) -> Shape:
        """(n, c, h, w) to (n, c*h*w)."""
        return flattened_shape("Flatten", shape, self.start_dim, self.end_dim)

    def work(self, shape: Shape) -> Work:
        """None."""
        self.output_shape(shape)
        return Work()


class Dropout(Layer):
    """Zeroes each value with probability `p` in training; else the identity.

    Args:
        p: the share of values that are dropped.
        generator: draws them; one of seed 0 unless given.

    Source: torch.nn.Dropout.
    """

    def __init__(self, p: float = 0.5, *, generator: np.random.Generator | None = None) -> None:
        super().__init__()
        check_probability("Dropout", p)
        self.p = p
        self.generator = np.random.default_rng(0) if generator is None else generator

    def forward(self, x: Array) -> Array:
        """Any shape and floating dtype in, the same out."""
        return ops.dropout(x, self.p, self.generator) if self.training else x

    def output_shape(self, shape: Shape) -> Shape:
        """Any shape in, the same out."""
        return shape

    def work(self, shape: Shape) -> Work:
        """None that is counted."""
        return Work()

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy with a generator of its own, which goes on from where this one's is."""
        twin = super().astype(dtype)
        twin.generator = copy.deepcopy(self.generator)
        return twin


class Add(Layer):
    """`x + identity`: a layer, so that the residual addition can be watched like any other operation."""

    def forward(self, x: Array, identity: Array) -> Array:
        """Two arrays of one shape and dtype in, the same out."""
        return ops.add(x, identity)

    def output_shape(self, shape: Shape, identity: Shape) -> Shape:
        """Two of one shape in, the same out."""
        if shape != identity:
            raise refusal(
                f"Add: branch and shortcut differ in shape, got {shape} and {identity}, expected the same",
                help="does the shortcut lack its projection, or its stride?",
            )
        return shape

    def work(self, shape: Shape, identity: Shape) -> Work:
        """None that is counted."""
        self.output_shape(shape, identity)
        return Work()


class Sequential(Layer):
    """Layers applied one after the other, called "0", "1", ... Source: torch.nn.Sequential."""

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    def forward(self, x: Array) -> Array:
        """What the first layer takes in, what the last one gives out."""
        for _, layer in self.children():
            x = layer(x)
        return x
