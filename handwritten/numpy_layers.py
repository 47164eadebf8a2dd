"""The layers of the NumPy half: thin objects with torch's names around the pure functions of `numpy_ops`.

A layer holds what must be remembered between two calls (weights, running estimates, the mode); the arithmetic is in
the function it calls.
"""

from __future__ import annotations

import copy
import math
from typing import ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten._checks import check_groups, check_probability
from layerdiff.handwritten.geometry import Size, pair
from layerdiff.handwritten.numpy_layer import Layer
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops.conv import check_grade
from layerdiff.handwritten.numpy_pool_layers import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

__all__ = [
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Layer",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Sequential",
]


class Conv2d(Layer):
    """Cross-correlates (n, in_channels, h, w) images with learned kernels.

    Args:
        in_channels: of the images; a multiple of `groups`.
        out_channels: one kernel each; a multiple of `groups`.
        kernel_size: rows and columns of a kernel.
        stride: the step of the windows.
        padding: rows and columns of zeros around the image.
        dilation: the step between two taps of a kernel.
        groups: each of so many groups of channels is convolved with its own kernels.
        bias: whether there is one.
        grade: how it is computed, see `numpy_ops.conv2d`.

    Attributes:
        weight: (out_channels, in_channels/groups, kh, kw) float32, zeros until drawn or loaded.
        bias: (out_channels,) float32, zeros, or None.

    Raises:
        ValueError: a size that cannot be used.

    Source: torch.nn.Conv2d.
    """

    array_names: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Array
    bias: Array | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        grade: ops.Grade = "gemm",
    ) -> None:
        super().__init__()
        check_grade(grade)
        check_groups("Conv2d", in_channels, out_channels, groups)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, at_least=1)
        self.stride = pair("Conv2d", "stride", stride, at_least=1)
        self.padding = pair("Conv2d", "padding", padding, at_least=0)
        self.dilation = pair("Conv2d", "dilation", dilation, at_least=1)
        self.groups = groups
        self.grade: ops.Grade = grade
        self.weight = np.zeros((out_channels, in_channels // groups, *self.kernel_size), dtype=np.float32)
        self.bias = np.zeros(out_channels, dtype=np.float32) if bias else None

    def initialise(self, generator: np.random.Generator) -> None:
        """Draws the weight from N(0, 2/(out_channels*kh*kw)), as torchvision's ResNet (He et al. 2015, fan out)."""
        fan_out = self.out_channels * math.prod(self.kernel_size)
        self.weight = generator.standard_normal(self.weight.shape, dtype=np.float32) * math.sqrt(2 / fan_out)

    def forward(self, x: Array) -> Array:
        """(n, in_channels, h, w) to (n, out_channels, h_out, w_out), dtype of `x`, which is the weight's."""
        return ops.conv2d(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            grade=self.grade,
        )


class BatchNorm2d(Layer):
    """Normalises each channel: by the running estimates in eval mode, by the batch itself in training.

    Args:
        num_features: channels.
        eps: keeps the root away from zero.
        momentum: the weight of the *new* batch in the running estimates; None for the plain average of all batches.
        affine: whether there are `weight` and `bias`.
        track_running_stats: without it there are no estimates, and the batch's own statistics always serve.

    Attributes:
        weight: (num_features,) float32, ones, or None.
        bias: (num_features,) float32, zeros, or None.
        running_mean: (num_features,) float32, zeros, or None.
        running_var: (num_features,) float32, ones, or None; unbiased.
        num_batches_tracked: how many batches the estimates have seen; a number, no part of the state dict.

    Source: Ioffe & Szegedy 2015; torch.nn.BatchNorm2d.
    """

    array_names: ClassVar[tuple[str, ...]] = ("weight", "bias", "running_mean", "running_var")
    weight: Array | None
    bias: Array | None
    running_mean: Array | None
    running_var: Array | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.num_batches_tracked = 0
        self.weight = np.ones(num_features, dtype=np.float32) if affine else None
        self.bias = np.zeros(num_features, dtype=np.float32) if affine else None
        self.running_mean = np.zeros(num_features, dtype=np.float32) if track_running_stats else None
        self.running_var = np.ones(num_features, dtype=np.float32) if track_running_stats else None

    def forward(self, x: Array) -> Array:
        """(n, num_features, h, w) in, the same shape and dtype out."""
        if self.running_mean is None or self.running_var is None:
            mean, var = ops.batch_statistics(x)
            return ops.batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)
        if not self.training:
            return ops.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        momentum = 1 / (self.num_batches_tracked + 1) if self.momentum is None else self.momentum
        y, self.running_mean, self.running_var = ops.batch_norm_train(
            x, self.running_mean, self.running_var, self.weight, self.bias, momentum=momentum, eps=self.eps
        )
        self.num_batches_tracked += 1
        return y


class ReLU(Layer):
    """`max(x, 0)`. Source: torch.nn.ReLU."""

    def forward(self, x: Array) -> Array:
        """Any shape and floating dtype in, the same out."""
        return ops.relu(x)


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


class Flatten(Layer):
    """Joins the axes from `start_dim` to `end_dim` into one. Source: torch.nn.Flatten."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Array) -> Array:
        """(n, c, h, w) to (n, c*h*w), dtype of `x`."""
        return ops.flatten(x, self.start_dim, self.end_dim)


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
