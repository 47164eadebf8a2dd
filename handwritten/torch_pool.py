"""Pooling in torch: the largest or the mean value of each window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from layerdiff.handwritten._checks import check_divisor, check_image_batch
from layerdiff.handwritten.geometry import Pair, Size, Window, adaptive_bounds, pair
from layerdiff.handwritten.torch_windows import windows

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d"]


class MaxPool2d(nn.Module):
    """The largest value in each window.

    The image is padded with minus infinity, not with zeros, which would be the largest value of a negative window.
    Where the largest value occurs twice the gradient goes to the first, as in torch.

    Args:
        kernel_size: rows and columns of a window.
        stride: the step of the windows, `kernel_size` unless given.
        padding: around the image, at most half of a window.
        dilation: the step between two taps of a window.
        ceil_mode: whether a last window may hang over the edge.

    Raises:
        ValueError: a size that cannot be used.

    Source: torch.nn.MaxPool2d. Sizes are kept as pairs.
    """

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

    def forward(self, x: Tensor) -> Tensor:
        """Pools `x`.

        Args:
            x: (n, c, h, w), any floating dtype.

        Returns:
            (n, c, h_out, w_out), dtype of `x`.

        Raises:
            ValueError: not a batch of images, more padding than half the kernel, or smaller than the kernel.
        """
        check_image_batch("MaxPool2d", x.shape)
        window = Window(self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        window.check_pool_padding("MaxPool2d")
        # Not amax: it shares the gradient out among equal values, of which a ReLU leaves many.
        return windows("MaxPool2d", x, window, padding_value=float("-inf")).flatten(-2).max(dim=-1).values

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(nn.Module):
    """The mean of each window.

    Args:
        kernel_size: rows and columns of a window.
        stride: the step of the windows, `kernel_size` unless given.
        padding: zeros around the image, at most half of a window.
        ceil_mode: whether a last window may hang over the edge.
        count_include_pad: whether the zeros of the padding count as values.
        divisor_override: divide the sum by this instead of by the number of values.

    Raises:
        ValueError: a size that cannot be used.

    Source: torch.nn.AvgPool2d. Sizes are kept as pairs.
    """

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

    def forward(self, x: Tensor) -> Tensor:
        """Pools `x`.

        Args:
            x: (n, c, h, w), any floating dtype.

        Returns:
            (n, c, h_out, w_out), dtype of `x`.

        Raises:
            ValueError: not a batch of images, more padding than half the kernel, or smaller than the kernel.
        """
        check_image_batch("AvgPool2d", x.shape)
        window = Window(self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)
        window.check_pool_padding("AvgPool2d")
        total = windows("AvgPool2d", x, window).sum(dim=(-2, -1))
        if self.divisor_override is not None:
            return total / self.divisor_override
        rows, columns = (
            x.new_tensor(
                window.taps_counted(
                    axis, x.shape[2 + axis], total.shape[2 + axis], include_padding=self.count_include_pad
                )
            )
            for axis in (0, 1)
        )
        return total / (rows[:, None] * columns)

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"ceil_mode={self.ceil_mode}, count_include_pad={self.count_include_pad}, "
            f"divisor_override={self.divisor_override}"
        )


class AdaptiveAvgPool2d(nn.Module):
    """The mean of each of `output_size` windows that share the image out among them.

    Args:
        output_size: rows and columns of the result.

    Raises:
        ValueError: a size that cannot be used.

    Source: torch.nn.AdaptiveAvgPool2d.
    """

    def __init__(self, output_size: Size) -> None:
        super().__init__()
        self.output_size: Pair = pair("AdaptiveAvgPool2d", "output_size", output_size, at_least=1)

    def forward(self, x: Tensor) -> Tensor:
        """Pools `x`: a window is a rectangle, so its mean is the mean over the columns of the means over the rows.

        Args:
            x: (n, c, h, w), any floating dtype.

        Returns:
            (n, c, *output_size), dtype of `x`.

        Raises:
            ValueError: not a batch of images, or an empty image.
        """
        check_image_batch("AdaptiveAvgPool2d", x.shape)
        rows, columns = (
            adaptive_bounds("AdaptiveAvgPool2d", x.shape[2 + axis], self.output_size[axis]) for axis in (0, 1)
        )
        x = torch.stack([x[:, :, start:end].mean(dim=2) for start, end in rows], dim=2)
        return torch.stack([x[..., start:end].mean(dim=3) for start, end in columns], dim=3)

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return f"output_size={self.output_size}"
