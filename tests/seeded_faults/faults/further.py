"""Causes beyond the classes of the groups' own files: other pools, other weights, precisions, operations too many."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .convolution import spoil_weight
from .edits import Edit
from .hosts import Host
from .layers import Apply, Conv, Head, conv_with
from .model import Fault, Truth, within
from .normalisation import norms
from .pooling import only, put
from .structure import identity_blocks

__all__ = ["FURTHER"]


def branch_norm(host: Host, block: str) -> str:
    return f"{block}.bn{3 if host.bottleneck else 2}"


def scaled_branch(edit: Edit, block: str) -> None:
    edit.insert(edit.node(branch_norm(edit.host, block)), Apply(lambda x: x * 0.2), users=[edit.node(f"{block}.add")])


def second_norm(edit: Edit, block: str) -> None:
    """A batch norm behind the addition."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        norm = nn.BatchNorm2d(edit.like(branch_norm(edit.host, block)).num_features).eval()
        norm.running_var.uniform_(0.5, 2)
        norm.running_mean.normal_(0, 0.2)
    edit.insert(edit.node(f"{block}.add"), norm)


def inside_blocks(host: Host) -> list[str]:
    """Convolutions that can be left out: as many channels go in as come out, and no pixel is lost."""
    return [f"{block}.conv{2 if host.bottleneck else 1}" for block in identity_blocks(host)]


def added_operation(host: Host, block: str) -> tuple[Truth, ...]:
    """The layer before the operation too many, or the one behind it."""
    return within(f"{block}.add", branch_norm(host, block), host.of(block)[-1])


def biased_variance(edit: Edit, layer: str) -> None:
    """Averaged with n where n - 1 is right: two maps of 8x8."""
    norm = copy.deepcopy(edit.like(layer))
    norm.running_var.data *= 127 / 128
    edit.put(layer, norm)


def tensor_changed(change: Callable[[Tensor], Tensor]) -> Callable[[Edit, str], None]:
    return lambda edit, layer: spoil_weight(edit, layer, change)


def some_values(w: Tensor) -> Tensor:
    changed = w.clone()
    middle = w.shape[2] // 2
    for o, i in ((0, 0), (3, 1), (17, 2)):
        changed[o, i, middle, middle] += 0.1
    return changed


def raw_memory(edit: Edit, layer: str) -> None:
    """A convolution that reads channels-last memory as if it were contiguous."""

    def read(x: Tensor, w: Tensor, s: tuple[int, int], p: tuple[int, int]) -> Tensor:
        y = x.contiguous(memory_format=torch.channels_last)
        return F.conv2d(y.as_strided(y.shape, torch.empty(y.shape).stride()), w, None, s, p)

    edit.put(layer, Conv(edit.like(layer), read))


def half_the_input(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.linear(0.5 * x, w, b)


class Double(nn.Module):
    """A convolution whose author works in double, and stays there."""

    def __init__(self, like: nn.Module) -> None:
        super().__init__()
        self.conv = conv_with(like)

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        return F.conv2d(x.double(), conv.weight.double(), None, conv.stride, conv.padding)


def convs(host: Host) -> list[str]:
    return host.kind("conv2d")


def inner(host: Host) -> list[str]:
    return [layer for layer in convs(host) if layer != "conv1"]


def early(host: Host) -> list[str]:
    return [layer for layer in convs(host) if layer.startswith("layer1") and "downsample" not in layer]


FURTHER: tuple[Fault, ...] = (
    Fault("A17", "scaled-branch", "the branch is multiplied by 0.2", scaled_branch, identity_blocks, added_operation,
          causes=("A17", "J7"), why_causes="a factor left behind is an operation too many"),
    Fault("A17", "norm-behind-add", "a batch norm too many, behind the addition", second_norm, identity_blocks,
          added_operation, keep=True),
    Fault("A18", "conv-missing", "a convolution of a block is missing", lambda e, layer: e.drop(layer), inside_blocks),
    Fault("A18", "max-pool-missing", "no max-pool at all", lambda e, layer: e.drop(layer), only("maxpool"),
          causes=("A18", "A11"), why_causes="that is another variant of the stem", not_hosts=("own_conv_and_bn",), count=2),
    Fault("C3", "biased-variance", "the running variance was averaged without n - 1", biased_variance, norms, keep=True),
    Fault("D8", "window-of-2", "a window of 2x2", lambda e, layer: e.put(layer, nn.MaxPool2d(2, 2)), only("maxpool"), count=2),
    Fault("D8", "window-of-5", "a window of 5x5", lambda e, layer: e.put(layer, nn.MaxPool2d(5, 2, 2)), only("maxpool"),
          count=2),
    Fault("D9", "average", "the average for the maximum", lambda e, layer: e.put(layer, nn.AvgPool2d(3, 2, 1)),
          only("maxpool"), count=2),
    Fault("D9", "minimum", "the minimum for the maximum", put(lambda x: -F.max_pool2d(-x, 3, 2, 1)), only("maxpool"),
          count=2),
    Fault("F7", "no-bias", "the head's bias is not added",
          lambda e, layer: e.put(layer, Head(e.like(layer), lambda x, w, b: x @ w.T)), only("fc")),
    Fault("F7", "bias-twice", "the head's bias is added twice",
          lambda e, layer: e.put(layer, Head(e.like(layer), lambda x, w, b: F.linear(x, w, b) + b)), only("fc"), count=2),
    Fault("G9", "halved", "the weights are halved", tensor_changed(lambda w: w * 0.5), convs, keep=True, count=2),
    Fault("G9", "per-channel", "each filter has a factor of its own",
          tensor_changed(lambda w: w * torch.linspace(0.5, 2, len(w))[:, None, None, None]), convs, keep=True, count=2),
    Fault("G10", "filters-rolled", "the filters are in another order", tensor_changed(lambda w: w.roll(1, 0)), convs, keep=True),
    Fault("G10", "inputs-rolled", "the input channels are in another order", tensor_changed(lambda w: w.roll(1, 1)), inner,
          keep=True, count=2),
    Fault("G11", "some-values", "three values of a kernel differ", tensor_changed(some_values), convs, keep=True),
    Fault("H3", "double", "a convolution computes and answers in double", lambda e, layer: e.put(layer, Double(e.like(layer))),
          lambda host: ["layer4.1.conv2"], causes=("H3", "M16"), why_causes="torch refuses to mix them further on",
          hosts=("torchvision18", "ours18"), count=2),
    Fault("H5", "raw-memory", "the convolution reads the memory, not the tensor", raw_memory, early,
          causes=("H5", "A17"), why_causes="what changes the memory is an operation too many", count=2),
    Fault("J7", "half-kept", "the input of the head is halved, as an old dropout does",
          lambda e, layer: e.put(layer, Head(e.like(layer), half_the_input)), only("fc"), count=2),
)  # fmt: skip
