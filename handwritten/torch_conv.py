"""Convolution in torch: kernels times patches, one matrix product for the whole batch, by tensor operations alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from layerdiff.handwritten._checks import check_channels, check_groups, check_image_batch
from layerdiff.handwritten.geometry import Size, Window, pair
from layerdiff.handwritten.torch_windows import padded

__all__ = ["Conv2d"]


class Conv2d(nn.Module):
    """Cross-correlates images with learned kernels.

        y[n, o, i, j] = bias[o] + sum over c, p, q of weight[o, c, p, q] * x[n, c, i*stride + p*dilation - padding, ...]

    Args:
        in_channels: of the images; a multiple of `groups`.
        out_channels: one kernel each; a multiple of `groups`.
        kernel_size: rows and columns of a kernel.
        stride: the step of the windows.
        padding: rows and columns of zeros around the image.
        dilation: the step between two taps of a kernel.
        groups: each of so many groups of channels is convolved with its own kernels.
        bias: whether there is one.

    Attributes:
        weight: (out_channels, in_channels/groups, kh, kw), drawn from N(0, 2/(out_channels*kh*kw)) as
            torchvision's ResNet draws it (He et al. 2015, "Delving Deep into Rectifiers", fan out).
        bias: (out_channels,), zeros, or None.

    Raises:
        ValueError: a size that cannot be used.

    Source: torch.nn.Conv2d.
    """

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
    ) -> None:
        super().__init__()
        check_groups("Conv2d", in_channels, out_channels, groups)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, at_least=1)
        self.stride = pair("Conv2d", "stride", stride, at_least=1)
        self.padding = pair("Conv2d", "padding", padding, at_least=0)
        self.dilation = pair("Conv2d", "dilation", dilation, at_least=1)
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Convolves `x`.

        Args:
            x: (n, in_channels, h, w), dtype of the weight.

        Returns:
            (n, out_channels, h_out, w_out), dtype of `x`.

        Raises:
            ValueError: not a batch of images, other channels than `in_channels`, or smaller than the kernel.
        """
        check_image_batch("Conv2d", x.shape)
        check_channels("Conv2d", x.shape, self.in_channels)
        window = Window(self.kernel_size, self.stride, self.padding, self.dilation)
        h_out, w_out = window.output_size("Conv2d", (x.shape[2], x.shape[3]))
        patches = _patches(x, window, h_out, w_out).reshape(self.groups, -1, len(x) * h_out * w_out)
        kernels = self.weight.reshape(self.groups, self.out_channels // self.groups, -1)
        y = (kernels @ patches).reshape(self.out_channels, len(x), h_out, w_out).transpose(0, 1).contiguous()
        return y if self.bias is None else y + self.bias[:, None, None]

    def extra_repr(self) -> str:
        """What tells this layer from another, for `print`."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, bias={self.bias is not None}"
        )


def _patches(x: Tensor, window: Window, h_out: int, w_out: int) -> Tensor:
    """What each tap of the window meets, wherever the window stands: (c, kh*kw, n, h_out, w_out).

    A slice for each tap reads whole rows of the image; to gather each window for itself reads a few values at a time,
    and takes four times as long there and back. What a single tap meets is a view: a 1x1 convolution copies nothing.
    """
    image = padded(x, window, (h_out, w_out)).transpose(0, 1)
    (kh, kw), (step_h, step_w), (apart_h, apart_w) = window.kernel_size, window.stride, window.dilation
    rows = [slice(p * apart_h, p * apart_h + (h_out - 1) * step_h + 1, step_h) for p in range(kh)]
    columns = [slice(q * apart_w, q * apart_w + (w_out - 1) * step_w + 1, step_w) for q in range(kw)]
    met = [image[:, :, row, column] for row in rows for column in columns]
    return torch.stack(met, dim=1) if len(met) > 1 else met[0].unsqueeze(1)
