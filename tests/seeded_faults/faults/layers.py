"""Layers with a mistake in them, as people write them: small modules of plain arithmetic."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Apply", "Conv", "Norm", "Unregistered", "conv_with", "norm_with"]


class Norm(nn.Module):
    """A batch norm of somebody's own: `formula(x, weight, bias, mean, var, eps)`, parameters as (1, c, 1, 1)."""

    def __init__(self, like: nn.Module, formula: Callable[..., Tensor], *, axis: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(like.weight.detach().clone())
        self.bias = nn.Parameter(like.bias.detach().clone())
        self.register_buffer("running_mean", like.running_mean.detach().clone())
        self.register_buffer("running_var", like.running_var.detach().clone())
        self.formula, self.axis, self.eps = formula, axis, 1e-5

    def forward(self, x: Tensor) -> Tensor:
        shape = [1, 1, 1, 1]
        shape[self.axis] = -1
        tensors = (t.view(shape) for t in (self.weight, self.bias, self.running_mean, self.running_var))
        return self.formula(x, *tensors, self.eps)


class Conv(nn.Module):
    """A convolution of somebody's own: `formula(x, weight, stride, padding)`, and no bias."""

    def __init__(self, like: nn.Module, formula: Callable[..., Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(like.weight.detach().clone())
        self.stride, self.padding, self.formula = like.stride, like.padding, formula

    def forward(self, x: Tensor) -> Tensor:
        return self.formula(x, self.weight, self.stride, self.padding)


class Apply(nn.Module):
    """A function of the input(s) as a layer, without parameters."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


class Unregistered(nn.Module):
    """Holds a layer in a plain list, where no state dict and no cast finds it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layers = [layer]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class SamePadConv(nn.Module):
    """TensorFlow's SAME: what is left over goes to the bottom and to the right."""

    def __init__(self, like: nn.Module) -> None:
        super().__init__()
        self.conv = copy.deepcopy(like)
        self.conv.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        (kh, kw), (sh, sw) = self.conv.kernel_size, self.conv.stride
        h = max((math.ceil(x.shape[2] / sh) - 1) * sh + kh - x.shape[2], 0)
        w = max((math.ceil(x.shape[3] / sw) - 1) * sw + kw - x.shape[3], 0)
        return self.conv(F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2)))


class SlippedWindows(nn.Module):
    """im2col written by hand; `slip` moves the window at one place."""

    def __init__(self, like: nn.Module, slip: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(like.weight.detach().clone())
        self.k, self.stride, self.pad, self.slip = like.kernel_size[0], like.stride[0], like.padding[0], slip

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        k, s, p = self.k, self.stride, self.pad
        ho, wo = (h + 2 * p - k) // s + 1, (w + 2 * p - k) // s + 1
        if self.slip == "one too few":
            x = x[:, :, :, : w - 1]
            x = F.pad(x, (p, p + 1, p, p))
        else:
            x = F.pad(x, (p, p, p, p))
        columns = []
        for i in range(k):
            for j in range(k):
                last = i == k - 1 and j == k - 1
                at = j - 1 if self.slip == "last tap" and last else j
                columns.append(x[:, :, i : i + s * ho : s, at : at + s * wo : s])
        patches = torch.stack(columns, dim=2).reshape(n, c * k * k, ho * wo)
        return (self.weight.reshape(len(self.weight), -1) @ patches).reshape(n, -1, ho, wo)


class Head(nn.Module):
    """A linear map of somebody's own: `formula(x, weight, bias)`."""

    def __init__(self, like: nn.Module, formula: Callable[..., Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(like.weight.detach().clone())
        self.bias = nn.Parameter(like.bias.detach().clone())
        self.formula = formula

    def forward(self, x: Tensor) -> Tensor:
        return self.formula(x, self.weight, self.bias)


class FreshDropout(nn.Module):
    """Makes its dropout inside forward: always in training mode."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return nn.Dropout(self.p)(x)


class OptionA(nn.Module):
    """The shortcut without parameters: every second pixel, zeros for the new channels."""

    def __init__(self, stride: int, before: int, after: int, *, front: bool) -> None:
        super().__init__()
        self.stride, new = stride, after - before
        self.pads = (new // 2, new - new // 2) if front else (0, new)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *self.pads))


def norm_with(like: nn.Module, **changes: Any) -> nn.Module:
    """Torch's batch norm with the tensors of `like` and other settings."""
    norm = nn.BatchNorm2d(like.num_features, **changes).eval()
    norm.load_state_dict({key: value for key, value in like.state_dict().items() if key in norm.state_dict()})
    return norm


def conv_with(like: nn.Module, **changes: Any) -> nn.Module:
    """Torch's convolution with the weight of `like` and other settings."""
    names = ("stride", "padding", "dilation", "groups")
    settings = {"bias": like.bias is not None, **{name: getattr(like, name) for name in names}, **changes}
    conv = nn.Conv2d(like.in_channels, like.out_channels, like.kernel_size, **settings)
    conv.weight.data = like.weight.detach().clone()
    if conv.bias is not None and like.bias is not None:
        conv.bias.data = like.bias.detach().clone()
    return conv
