"""Changes that change nothing here: they must never be reported as faults."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .convolution import same, spoil_weight, wide_strided
from .edits import Edit
from .hosts import Host
from .layers import Apply, Norm, conv_with, norm_with
from .loading import convs, in_half
from .model import Fault, Truth
from .normalisation import norms, plain
from .pooling import only, put, relus, zero_padded_maxpool
from .structure import FUNCTIONS, plain_threes

__all__ = ["EQUIVALENTS"]


def relu_after_maxpool(edit: Edit, _place: str) -> None:
    edit.drop("relu")
    edit.insert(edit.node("maxpool"), nn.ReLU())


def half_by_half(edit: Edit, layer: str) -> None:
    """The input channels are summed in two halves: another order of the same additions."""

    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(edit.like(layer).weight.detach().clone())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            n = x.shape[1] // 2
            first = F.conv2d(x[:, :n], self.weight[:, :n], padding=1)
            return first + F.conv2d(x[:, n:], self.weight[:, n:], padding=1)

    edit.put(layer, Halves())


def ones_by_one(host: Host) -> list[str]:
    return [layer for layer in host.layers if layer.endswith("downsample.0")]


def twice(edit: Edit, layer: str) -> None:
    edit.insert(edit.node(layer), nn.ReLU())


NOTHING = lambda host, place: (Truth(frozenset()),)  # noqa: E731


def same_function(code: str, name: str, title: str, plant: object, places: object, **more: object) -> Fault:
    return Fault(code, f"equivalent-{name}", title, plant, places, NOTHING, equivalent=True, **{"count": 3, **more})  # type: ignore[arg-type]


EQUIVALENTS: tuple[Fault, ...] = (
    same_function("D1", "zero-padded-pool", "zeros for -inf, behind a ReLU", put(zero_padded_maxpool), only("maxpool"), count=5),
    same_function("D2", "pool-from-zero", "a maximum that starts at zero, behind a ReLU",
                  put(lambda x: F.max_pool2d(x, 3, 2, 1).clamp(min=0)), only("maxpool")),
    same_function("E1", "relu-after-maxpool", "the ReLU stands behind the max-pool", relu_after_maxpool, only("relu"), count=5),
    same_function("E6", "relu-twice", "a second ReLU behind a ReLU", twice, relus, count=4),
    same_function("B1", "same-at-odd-sizes", "SAME padding at odd sizes", same, wide_strided, size=(65, 97), count=5),
    same_function("D4", "same-pool-at-odd-sizes", "SAME padding at odd sizes", put(lambda x: F.max_pool2d(
        F.pad(x, ((1 - x.shape[3] % 2 and 0) or 1, 1, (1 - x.shape[2] % 2 and 0) or 1, 1), value=-torch.inf), 3, 2)),
                  only("maxpool"), size=(65, 97)),
    same_function("B3", "turned-1x1", "a 1x1 kernel turned around", lambda e, layer: spoil_weight(e, layer, lambda w: w.flip(2, 3)),
                  ones_by_one),
    same_function("C2", "momentum", "Keras's momentum", lambda e, layer: e.put(layer, norm_with(e.like(layer), momentum=0.99)), norms),
    same_function("C3", "own-arithmetic", "a batch norm in plain arithmetic, whose training is biased",
                  lambda e, layer: e.put(layer, Norm(e.like(layer), plain)), norms),
    same_function("C12", "scale-and-shift", "one scale and one shift for each channel",
                  lambda e, layer: e.put(layer, Norm(e.like(layer), lambda x, w, b, m, v, eps: x * (w / torch.sqrt(v + eps)) + (
                      b - m * w / torch.sqrt(v + eps)))), norms, count=4),
    same_function("F2", "flatten-of-one-pixel", "flattened with the channels last, where the map is one pixel",
                  put(lambda x: x.permute(0, 2, 3, 1).flatten(1)), only("flatten"), not_hosts=FUNCTIONS),
    same_function("B8", "zero-bias", "a bias of zeros", lambda e, layer: zero_bias(e, layer), lambda host: host.kind("conv2d"), count=4),
    same_function(
        "H3", "cast-to-float32", "a cast to float32 in a network that runs in float32", in_half(torch.float32), convs
    ),
    same_function("H4", "other-order", "the channels are summed in two halves", half_by_half, plain_threes, count=4),
    same_function("H5", "channels-last", "an activation in channels-last memory",
                  lambda e, layer: e.put(layer, Apply(lambda x: torch.relu(x).contiguous(memory_format=torch.channels_last))), relus),
)  # fmt: skip


def zero_bias(edit: Edit, layer: str) -> None:
    conv = conv_with(edit.like(layer), bias=True)
    conv.bias.data.zero_()
    edit.put(layer, conv)
