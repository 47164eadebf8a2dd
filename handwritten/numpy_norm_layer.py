"""The batch norm layer of the NumPy half: what is kept between two batches."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten._checks import check_channels, check_image_batch
from layerdiff.handwritten.counting import Work
from layerdiff.handwritten.numpy_layer import Layer
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.shape_pass import Shape

__all__ = ["BatchNorm2d"]


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
    buffer_names: ClassVar[tuple[str, ...]] = ("running_mean", "running_var")
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
            return ops.batch_norm_by_batch(x, self.weight, self.bias, eps=self.eps)[0]
        if not self.training:
            return ops.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        momentum = 1 / (self.num_batches_tracked + 1) if self.momentum is None else self.momentum
        y, self.running_mean, self.running_var = ops.batch_norm_train(
            x, self.running_mean, self.running_var, self.weight, self.bias, momentum=momentum, eps=self.eps
        )
        self.num_batches_tracked += 1
        return y

    def output_shape(self, shape: Shape) -> Shape:
        """(n, num_features, h, w) in, the same out."""
        check_image_batch("BatchNorm2d", shape)
        check_channels("BatchNorm2d", shape, self.num_features)
        return shape

    def work(self, shape: Shape) -> Work:
        """Every value is normalised."""
        return Work(normalised=math.prod(self.output_shape(shape)))
