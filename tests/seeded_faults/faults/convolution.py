"""Group B: convolution."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional as F

from .edits import Edit
from .hosts import Host, settings_of
from .layers import Conv, SamePadConv, SlippedWindows, conv_with
from .model import Fault, Truth, exactly

__all__ = ["CONVOLUTION"]


def _convs(host: Host, condition: object = None) -> list[str]:
    network = settings_of(host.expected)
    return [
        layer
        for layer in host.kind("conv2d")
        if condition is None or condition(network.get_submodule(layer))  # type: ignore[operator]
    ]


def wide(host: Host) -> list[str]:
    return _convs(host, lambda conv: conv.kernel_size[0] > 1)


def wide_strided(host: Host) -> list[str]:
    return _convs(host, lambda conv: conv.kernel_size[0] > 1 and conv.stride[0] > 1)


def square(host: Host) -> list[str]:
    return _convs(host, lambda conv: conv.in_channels == conv.out_channels)


def inner(host: Host) -> list[str]:
    return [layer for layer in wide(host) if layer != "conv1"]


def same(edit: Edit, layer: str) -> None:
    edit.put(layer, SamePadConv(edit.like(layer)))


def same_in_two_steps(edit: Edit, layer: str) -> None:
    conv = edit.like(layer)
    k = conv.kernel_size[0]
    low, high = (k - 2) // 2, (k - 2) - (k - 2) // 2
    edit.put(layer, nn.Sequential(nn.ZeroPad2d((low, high, low, high)), conv_with(conv, padding=0)))


def formula(edit: Edit, layer: str, weight: object) -> None:
    turn = weight
    edit.put(layer, Conv(edit.like(layer), lambda x, w, s, p: F.conv2d(x, turn(w), None, s, p)))  # type: ignore[operator]


def spoil_weight(edit: Edit, layer: str, turn: object) -> None:
    conv = copy.deepcopy(edit.like(layer))
    conv.weight.data = turn(conv.weight.data).contiguous().clone()  # type: ignore[operator]
    edit.put(layer, conv)


def reshaped(w: torch.Tensor) -> torch.Tensor:
    o, i, h, k = w.shape
    return w.reshape(h, k, i, o).permute(3, 2, 0, 1)


def with_bias(edit: Edit, layer: str) -> None:
    conv = conv_with(edit.like(layer), bias=True)
    generator = torch.Generator().manual_seed(6)
    conv.bias.data = torch.randn(conv.out_channels, generator=generator) * 0.2
    edit.put(layer, conv)


def with_hidden_bias(edit: Edit, layer: str) -> None:
    like = edit.like(layer)
    constant = 0.1
    edit.put(layer, Conv(like, lambda x, w, s, p: F.conv2d(x, w, None, s, p) + constant))


def half_groups(edit: Edit, layer: str) -> None:
    """The channels are convolved in two groups: half of every kernel is never used."""
    edit.put(layer, Conv(edit.like(layer), lambda x, w, s, p: F.conv2d(x, w[:, : w.shape[1] // 2], None, s, p, 1, 2)))


def other_groups(edit: Edit, layer: str) -> None:
    like = edit.like(layer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        conv = nn.Conv2d(like.in_channels, like.out_channels, 3, like.stride, 1, groups=4, bias=False)
    edit.put(layer, conv)


def along_width(edit: Edit, layer: str) -> None:
    """A bias of (C,) added to (N, C, H, W) as it is: it lies along W."""
    like = edit.like(layer)
    bias = torch.linspace(-0.5, 0.5, like.out_channels)

    class Biased(Conv):
        def __init__(self) -> None:
            super().__init__(like, lambda x, w, s, p: F.conv2d(x, w, None, s, p))
            self.bias = nn.Parameter(bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + self.bias

    edit.put(layer, Biased())


def own_bias_along_width(edit: Edit, layer: str) -> None:
    """The same for a convolution that has a bias."""
    like = edit.like(layer)

    class Biased(Conv):
        def __init__(self) -> None:
            super().__init__(like, lambda x, w, s, p: F.conv2d(x, w, None, s, p))
            self.bias = nn.Parameter(like.bias.detach().clone())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + self.bias

    edit.put(layer, Biased())


def padded_as(mode: str) -> object:
    def plant(edit: Edit, layer: str) -> None:
        edit.put(layer, conv_with(edit.like(layer), padding_mode=mode))

    return plant


def or_its_taker(host: Host, layer: str) -> tuple[Truth, ...]:
    """The addition is part of the convolution, or an operation too many that the batch norm takes."""
    norm = layer.replace("conv", "bn").replace("downsample.0", "downsample.1")
    return (*exactly(layer), *exactly(norm))


CONVOLUTION: tuple[Fault, ...] = (
    Fault("B1", "same", "TensorFlow's SAME padding at stride 2", same, wide_strided, count=3),
    Fault("B1", "same-in-two-steps", "a ZeroPad2d in front, as Keras writes it", same_in_two_steps, wide_strided, count=3),
    Fault("B2", "stem-padding-2", "the stem is padded by 2",
          lambda e, layer: e.put(layer, conv_with(e.like(layer), padding=2)), lambda host: ["conv1"], count=3),
    Fault("B2", "no-padding", "a 3x3 without padding", lambda e, layer: e.put(layer, conv_with(e.like(layer), padding=0)),
          inner, count=3),
    Fault("B2", "padding-of-2", "a 3x3 padded by 2", lambda e, layer: e.put(layer, conv_with(e.like(layer), padding=2)),
          inner, count=3),
    Fault("B2", "reflected", "padded by reflection", padded_as("reflect"), wide, count=3, size=(96, 64),
          not_hosts=()),
    Fault("B2", "replicated", "padded by repetition", padded_as("replicate"), wide, count=3),
    Fault("B3", "turned-in-code", "true convolution: the kernel is turned around",
          lambda e, layer: formula(e, layer, lambda w: w.flip(2, 3)), wide, count=3),
    Fault("B3", "turned-weights", "the loaded kernel is turned around",
          lambda e, layer: spoil_weight(e, layer, lambda w: w.flip(2, 3)), wide, keep=True, count=3),
    Fault("B4", "reshaped-in-code", "a kernel reshaped to HWIO where it should be transposed",
          lambda e, layer: formula(e, layer, reshaped), wide, count=3),
    Fault("B4", "reshaped-weights", "the loaded kernel was reshaped", lambda e, layer: spoil_weight(e, layer, reshaped),
          wide, keep=True, count=3),
    Fault("B5", "transposed-in-code", "rows and columns of the kernel are swapped",
          lambda e, layer: formula(e, layer, lambda w: w.transpose(2, 3)), wide, keep=True, count=3),
    Fault("B5", "transposed-weights", "the loaded kernel has rows and columns swapped",
          lambda e, layer: spoil_weight(e, layer, lambda w: w.transpose(2, 3)), wide, keep=True, count=3),
    Fault("B6", "in-and-out-in-code", "in and out channels of the kernel are swapped",
          lambda e, layer: formula(e, layer, lambda w: w.transpose(0, 1)), square, keep=True, count=3),
    Fault("B6", "in-and-out-weights", "the loaded kernel has in and out channels swapped",
          lambda e, layer: spoil_weight(e, layer, lambda w: w.transpose(0, 1)), square, keep=True, count=3),
    Fault("B7", "two-groups", "two groups where there is one", half_groups, inner, count=3),
    Fault("B7", "four-groups", "cardinality and width are swapped", other_groups,
          lambda host: [layer for layer in host.layers if layer.endswith("conv2")], hosts=("resnext",), count=3),
    Fault("B8", "bias-kept", "a bias before the batch norm, not the reference's", with_bias, lambda host: _convs(host),
          keep=True, count=3),
    Fault("B8", "constant-added", "a constant is added behind the convolution", with_hidden_bias,
          lambda host: _convs(host), or_its_taker, causes=("B8", "A17"),
          why_causes="the addition is an operation too many", count=3),
    Fault("B9", "bias-along-width", "the bias lies along W", along_width,
          lambda host: [] if host.bottleneck else ["layer1.0.conv2", "layer1.1.conv1"], or_its_taker, causes=("B9", "A17"),
          why_causes="there is no bias in the reference: whatever is added there is an operation too many", keep=True,
          size=(40, 256), count=2),
    Fault("B9", "its-own-bias-along-width", "the reference's bias lies along W", own_bias_along_width,
          lambda host: ["layer1.0.conv1", "layer1.0.conv2"], or_its_taker, hosts=("biased",), keep=True, count=2),
    Fault("B10", "last-tap", "im2col: the last tap is one column off",
          lambda e, layer: e.put(layer, SlippedWindows(e.like(layer), "last tap")), wide, count=3),
    Fault("B10", "last-column", "im2col: the last column is never read",
          lambda e, layer: e.put(layer, SlippedWindows(e.like(layer), "one too few")), wide, count=3, size=(65, 97)),
)  # fmt: skip
