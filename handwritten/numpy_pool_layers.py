"""The pooling layers of the NumPy half: thin objects with torch's names around the pure functions of `numpy_ops`."""

from __future__ import annotations

import math

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten._checks import check_divisor, check_image_batch
from layerdiff.handwritten.counting import Work
from layerdiff.handwritten.geometry import Size, Window, adaptive_bounds, pair
from layerdiff.handwritten.numpy_layer import Layer
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.shape_pass import Shape

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d"]


class MaxPool2d(Layer):
    """The largest value in each window; arguments as `numpy_ops.max_pool2d`. Source: torch.nn.MaxPool2d."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = pair("MaxPool2d", "kernel_size", kernel_size, at_least=1)
        self.stride = self.kernel_size if stride is None else pair("MaxPool2d", "stride", stride, at_least=1)
        self.padding = pair("MaxPool2d", "padding", padding, at_least=0)
        self.dilation = pair("MaxPool2d", "dilation", dilation, at_least=1)
        self.ceil_mode = ceil_mode

    def forward(self, x: Array) -> Array:
        """(n, c, h, w) to (n, c, h_out, w_out), dtype of `x`."""
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, ceil_mode=self.ceil_mode)

    def output_shape(self, shape: Shape) -> Shape:
        """(n, c, h, w) to (n, c, h_out, w_out)."""
        window = Window(self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        return _pooled("MaxPool2d", shape, window)

    def work(self, shape: Shape) -> Work:
        """None that is counted."""
        self.output_shape(shape)
        return Work()


class AvgPool2d(Layer):
    """The mean of each window; arguments as `numpy_ops.avg_pool2d`. Source: torch.nn.AvgPool2d."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        check_divisor("AvgPool2d", divisor_override)
        self.kernel_size = pair("AvgPool2d", "kernel_size", kernel_size, at_least=1)
        self.stride = self.kernel_size if stride is None else pair("AvgPool2d", "stride", stride, at_least=1)
        self.padding = pair("AvgPool2d", "padding", padding, at_least=0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Array) -> Array:
        """(n, c, h, w) to (n, c, h_out, w_out), dtype of `x`."""
        return ops.avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
            divisor_override=self.divisor_override,
        )

    def output_shape(self, shape: Shape) -> Shape:
        """(n, c, h, w) to (n, c, h_out, w_out)."""
        window = Window(self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)
        return _pooled("AvgPool2d", shape, window)

    def work(self, shape: Shape) -> Work:
        """A division for each output, and a sum over a window."""
        outputs = math.prod(self.output_shape(shape))
        return Work(averaged=outputs, averaged_taps=outputs * math.prod(self.kernel_size))


class AdaptiveAvgPool2d(Layer):
    """The mean of each of `output_size` windows that share the image out. Source: torch.nn.AdaptiveAvgPool2d."""

    def __init__(self, output_size: Size) -> None:
        super().__init__()
        self.output_size = pair("AdaptiveAvgPool2d", "output_size", output_size, at_least=1)

    def forward(self, x: Array) -> Array:
        """(n, c, h, w) to (n, c, *output_size), dtype of `x`."""
        return ops.adaptive_avg_pool2d(x, self.output_size)

    def output_shape(self, shape: Shape) -> Shape:
        """(n, c, h, w) to (n, c, *output_size)."""
        check_image_batch("AdaptiveAvgPool2d", shape)
        self._taps_along(shape)
        return (*shape[:2], *self.output_size)

    def work(self, shape: Shape) -> Work:
        """A division for each output, and a sum over a window; the windows differ in size where they must."""
        outputs = math.prod(self.output_shape(shape))
        return Work(adaptive=outputs, adaptive_taps=math.prod(shape[:2]) * math.prod(self._taps_along(shape)))

    def _taps_along(self, shape: Shape) -> tuple[int, ...]:
        """Rows, and columns, of all windows together."""
        return tuple(
            sum(end - start for start, end in adaptive_bounds("AdaptiveAvgPool2d", size, out))
            for size, out in zip(shape[2:], self.output_size, strict=True)
        )


def _pooled(where: str, shape: Shape, window: Window) -> Shape:
    check_image_batch(where, shape)
    window.check_pool_padding(where)
    return (*shape[:2], *window.output_size(where, (shape[2], shape[3])))
