"""The convolution layer of the NumPy half: a thin object with torch's names around `numpy_ops.conv2d`."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten._checks import check_channels, check_groups, check_image_batch
from layerdiff.handwritten.counting import Work
from layerdiff.handwritten.geometry import Padding, Size, Window, padding_sides, pair
from layerdiff.handwritten.numpy_layer import Layer
from layerdiff.handwritten.numpy_ops._arrays import Array, channels_last
from layerdiff.handwritten.numpy_ops.conv import check_grade
from layerdiff.handwritten.shape_pass import Shape

__all__ = ["Conv2d"]


class Conv2d(Layer):
    """Cross-correlates (n, in_channels, h, w) images with learned kernels.

    Args:
        in_channels: of the images; a multiple of `groups`.
        out_channels: one kernel each; a multiple of `groups`.
        kernel_size: rows and columns of a kernel.
        stride: the step of the windows.
        padding: rows and columns of zeros around the image; "valid" for none, "same" to keep its size.
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
        padding: Padding = 0,
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
        self.dilation = pair("Conv2d", "dilation", dilation, at_least=1)
        sides = padding_sides("Conv2d", kernel_size, padding, stride=stride, dilation=dilation)
        self.padding: Padding = padding if isinstance(padding, str) else (sides[0][0], sides[1][0])
        self.groups = groups
        self.grade: ops.Grade = grade
        self.weight = self._laid_out(np.zeros((out_channels, in_channels // groups, *self.kernel_size), np.float32))
        self.bias = np.zeros(out_channels, dtype=np.float32) if bias else None

    def initialise(self, generator: np.random.Generator) -> None:
        """Draws the weight from N(0, 2/(out_channels*kh*kw)), as torchvision's ResNet (He et al. 2015, fan out)."""
        fan_out = self.out_channels * math.prod(self.kernel_size)
        drawn = generator.standard_normal(self.weight.shape, dtype=np.float32) * math.sqrt(2 / fan_out)
        self.weight = self._laid_out(drawn)

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

    def _laid_out(self, weight: Array) -> Array:
        """The same values in the order of memory that the grade multiplies them in."""
        return channels_last(weight) if self.grade == "taps" else weight

    def output_shape(self, shape: Shape) -> Shape:
        """(n, in_channels, h, w) to (n, out_channels, h_out, w_out)."""
        check_image_batch("Conv2d", shape)
        check_channels("Conv2d", shape, self.in_channels)
        sides = padding_sides("Conv2d", self.kernel_size, self.padding, stride=self.stride, dilation=self.dilation)
        window = Window(
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=(sides[0][0], sides[1][0]),
            dilation=self.dilation,
            more_after=(sides[0][1] - sides[0][0], sides[1][1] - sides[1][0]),
        )
        return (shape[0], self.out_channels, *window.output_size("Conv2d", (shape[2], shape[3])))

    def work(self, shape: Shape) -> Work:
        """Each output takes a product for each weight of its kernel, and a bias where there is one."""
        outputs = math.prod(self.output_shape(shape))
        kernel = self.in_channels // self.groups * math.prod(self.kernel_size)
        return Work(products=outputs * kernel, conv_biases=0 if self.bias is None else outputs)
