"""Groups D, E and F: pooling, activations, and what lies between the last map and the logits."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .edits import Edit
from .hosts import Host
from .layers import Apply, Head
from .model import Fault, Truth, exactly, within
from .structure import FUNCTIONS, identity_blocks

__all__ = ["POOLING"]


def put(function: object) -> object:
    return lambda edit, layer: edit.put(layer, Apply(function))  # type: ignore[arg-type]


def only(*layers: str) -> object:
    return lambda host: [layer for layer in layers if layer in host.layers]


def relus(host: Host) -> list[str]:
    return host.kind("relu")


def last_relus(host: Host) -> list[str]:
    return [host.of(block)[-1] for block in host.blocks if host.of(block)[-1] in relus(host)]


def inner_relus(host: Host) -> list[str]:
    return [layer for layer in relus(host) if layer != "relu" and layer not in last_relus(host)]


def pooled(host: Host, place: str) -> tuple[Truth, ...]:
    """Pooling and flatten are one in some hosts."""
    return within("avgpool", "flatten") if host.name in FUNCTIONS else exactly("avgpool")


def same_maxpool(x: Tensor) -> Tensor:
    return F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)


def zero_padded_maxpool(x: Tensor) -> Tensor:
    return F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2)


def relu_before_add(edit: Edit, block: str) -> None:
    edit.insert(
        edit.node(f"{block}.bn{3 if edit.host.bottleneck else 2}"), nn.ReLU(), users=[edit.node(f"{block}.add")]
    )


def bn_after_relu(edit: Edit, layer: str) -> None:
    """conv, relu, bn."""
    relu = relu_behind(edit.host, layer)
    norm, node = edit.node(layer), edit.node(relu)
    source = edit.inputs(layer)[0]
    assert source in norm.all_input_nodes
    before = node.all_input_nodes[0]
    node.replace_all_uses_with(norm)
    node.replace_input_with(before, source)
    norm.replace_input_with(source, node)
    # The norm stays where its parameters are fetched.
    source.append(node)


def relu_behind(host: Host, layer: str) -> str:
    if layer == "bn1":
        return "relu"
    block, _, name = layer.rpartition(".")
    return f"{block}.relu" if name == "bn1" else f"{block}.relu_1"


def norms_with_relu(host: Host) -> list[str]:
    names = ("bn1", "bn2") if host.bottleneck else ("bn1",)
    return [layer for layer in host.kind("batch_norm") if layer.split(".")[-1] in names and "layer" in layer]


def identity_rectified(edit: Edit, block: str) -> None:
    """`F.relu_(x)` before the branch, and `x` is the shortcut too."""
    edit.insert(edit.entry(block), torch.relu_)


def soft(edit: Edit, _place: str) -> None:
    edit.insert(edit.node("fc"), nn.Softmax(dim=1))


def soft_over_batch(edit: Edit, _place: str) -> None:
    edit.insert(edit.node("fc"), F.softmax, 0)


def half_pool(edit: Edit, layer: str) -> None:
    edit.put(layer, nn.AvgPool2d(2))


POOLING: tuple[Fault, ...] = (
    Fault("D1", "padded-by-zeros", "the max-pool pads by zeros", put(zero_padded_maxpool), only("maxpool"),
          hosts=("pool_first",), count=1),
    Fault("D1", "zero-pad-module", "a ZeroPad2d in front of the max-pool",
          lambda e, layer: e.put(layer, nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))), only("maxpool"),
          hosts=("pool_first",), count=1),
    Fault("D2", "starts-at-zero", "the maximum starts at zero", put(lambda x: F.max_pool2d(x, 3, 2, 1).clamp(min=0)),
          only("maxpool"), hosts=("pool_first",), count=1),
    Fault("D2", "starts-at-flt-min", "the maximum starts at the smallest positive number",
          put(lambda x: torch.clamp(F.max_pool2d(x, 3, 2, 1), min=torch.finfo(torch.float32).tiny)),
          only("maxpool"), hosts=("pool_first",), count=1, causes=("D2",)),
    Fault("D3", "no-padding", "the max-pool does not pad", lambda e, layer: e.put(layer, nn.MaxPool2d(3, 2)),
          only("maxpool"), count=3),
    Fault("D4", "same", "the max-pool pads at the bottom and the right", put(same_maxpool), only("maxpool"), count=3),
    Fault("D5", "ceil-mode", "the max-pool rounds up",
          lambda e, layer: e.put(layer, nn.MaxPool2d(3, 2, 1, ceil_mode=True)), only("maxpool"), count=3),
    Fault("D5", "ceil-no-padding", "Caffe's: rounds up and does not pad",
          lambda e, layer: e.put(layer, nn.MaxPool2d(3, 2, ceil_mode=True)), only("maxpool"), causes=("D5", "D3"),
          why_causes="both settings are other", count=3),
    Fault("D6", "padding-counted", "the average counts the padding",
          lambda e, layer: e.put(layer, nn.AvgPool2d(3, 2, 1)), lambda host: ["layer1.0.downsample.0"],
          hosts=("averaged",), count=1),
    Fault("D7", "fixed-window", "a fixed window in the place of the global pooling",
          lambda e, layer: e.put(layer, nn.AvgPool2d(2)), only("avgpool"), not_hosts=FUNCTIONS, size=(96, 96), count=3),
    Fault("D7", "maximum", "the maximum in the place of the mean",
          lambda e, layer: e.put(layer, nn.AdaptiveMaxPool2d(1)), only("avgpool"), not_hosts=FUNCTIONS, count=3),
    Fault("D7", "sum", "the sum in the place of the mean", put(lambda x: x.sum((2, 3), keepdim=True)), only("avgpool"),
          not_hosts=FUNCTIONS, count=3),
    Fault("D7", "fixed-7x7", "a window of 7x7 on a smaller map", lambda e, layer: e.put(layer, nn.AvgPool2d(7)),
          only("avgpool"), not_hosts=FUNCTIONS, causes=("D7", "M13"), why_causes="the shape error is M13", count=2),
    Fault("E1", "stem", "no ReLU in the stem", lambda e, layer: e.drop(layer), only("relu"),
          not_hosts=("own_conv_and_bn",), count=3),
    Fault("E1", "stem-before-zero-padding", "no ReLU in the stem, whose max-pool pads by zeros: that shows now",
          lambda e, layer: e.drop(layer), only("relu"), lambda host, p: exactly("relu", "maxpool"),
          hosts=("own_conv_and_bn",), causes=("E1", "D1"), why_causes="both are true", count=1),
    Fault("E1", "inside", "no ReLU inside a block", lambda e, layer: e.drop(layer), inner_relus, causes=("E1", "E2"),
          why_causes="the catalogue has a class for the stem and for behind the addition only", count=3),
    Fault("E2", "after-add", "no ReLU behind the addition", lambda e, layer: e.drop(layer), last_relus, count=3),
    Fault("E3", "before-add", "a ReLU before the addition", relu_before_add, identity_blocks,
          lambda host, b: exactly(f"{b}.add"), count=3),
    Fault("E4", "norm-behind-relu", "conv, relu, bn", bn_after_relu, norms_with_relu,
          lambda host, layer: within(layer, relu_behind(host, layer)), count=3),
    Fault("E5", "leaky-0.01", "LeakyReLU(0.01)", lambda e, layer: e.put(layer, nn.LeakyReLU(0.01)), relus, count=3),
    Fault("E5", "leaky-0.2", "LeakyReLU(0.2)", lambda e, layer: e.put(layer, nn.LeakyReLU(0.2)), relus, count=3),
    Fault("E5", "relu6", "ReLU6", lambda e, layer: e.put(layer, nn.ReLU6()), only("layer1.0.relu_1", "layer1.1.relu", "layer1.1.relu_1"),
          hosts=("averaged",), count=3),
    Fault("E5", "gelu", "GELU", lambda e, layer: e.put(layer, nn.GELU()), relus, count=3),
    Fault("E5", "absolute", "the absolute value", put(torch.abs), relus, count=2),
    Fault("E6", "relu-in-place", "the first ReLU of the branch works in place on what the shortcut carries",
          lambda e, layer: e.put(layer, nn.ReLU(inplace=True)), lambda host: ["layer1.1.relu", "layer1.2.relu"],
          lambda host, layer: exactly(layer.replace("relu", "add")), hosts=("relu_first",), count=2),
    Fault("E6", "in-place", "F.relu_ on the block's input", identity_rectified, lambda host: ["layer1.1"],
          lambda host, b: exactly(f"{b}.add", f"{b}.bn1"), hosts=("preact",), causes=("E6", "E3"),
          why_causes="the reference has no ReLU there: it is one too many, in place or not", count=1),
    Fault("F1", "not-transposed", "x @ W, not x @ W.T", lambda e, layer: e.put(layer, Head(e.like(layer), lambda x, w, b: x @ w + b)),
          only("fc"), hosts=("square_head",), keep=True, count=1),
    Fault("F1", "transposed-weights", "the loaded matrix is transposed", lambda e, layer: transposed_head(e, layer),
          only("fc"), hosts=("square_head",), keep=True, count=1),
    Fault("F2", "channels-last-order", "flattened with the channels last", put(lambda x: x.permute(0, 2, 3, 1).flatten(1)),
          only("flatten"), hosts=("wide_head",), count=1),
    Fault("F2", "fortran-order", "flattened in Fortran's order", put(lambda x: x.permute(0, 3, 2, 1).flatten(1)),
          only("flatten"), hosts=("wide_head",), count=1),
    Fault("F3", "view-for-permute", "a view where a permute is meant",
          lambda e, layer: viewed(e, layer), lambda host: ["layer1.0.conv2"], count=3, causes=("F3",), not_hosts=()),
    Fault("F4", "softmax", "softmax inside the model", soft, only("fc"), lambda host, p: (Truth(frozenset(), output=True, beside=frozenset({"fc"})),), count=3),
    Fault("F4", "over-the-batch", "softmax over the wrong axis", soft_over_batch, only("fc"),
          lambda host, p: (Truth(frozenset(), output=True, beside=frozenset({"fc"})),), count=2, batch=2),
    Fault("F5", "squeezed", "squeeze() takes the batch away", put(torch.squeeze), only("flatten"),
          lambda host, p: within("flatten", "fc"), not_hosts=FUNCTIONS, count=3),
    Fault("F6", "batch-merged", "view(1, -1) merges the batch", put(lambda x: x.reshape(1, -1)), only("flatten"),
          not_hosts=FUNCTIONS, batch=2, count=3, causes=("F6", "M2"), why_causes="the shape error is M2's"),
    Fault("F6", "wrong-width", "view(-1, 256) for 512", put(lambda x: x.reshape(-1, x.shape[1] // 2)), only("flatten"),
          not_hosts=FUNCTIONS, causes=("F6", "M3"), why_causes="the shape error is M3's", count=3),
)  # fmt: skip


def transposed_head(edit: Edit, layer: str) -> None:
    fc = copy.deepcopy(edit.like(layer))
    fc.weight.data = fc.weight.data.T.contiguous()
    edit.put(layer, fc)


def viewed(edit: Edit, layer: str) -> None:
    """(n, c, h, w) viewed as (n, h, w, c) and permuted back, in front of a convolution."""
    edit.insert(
        edit.inputs(layer)[0],
        Apply(lambda x: x.reshape(len(x), x.shape[2], x.shape[3], x.shape[1]).permute(0, 3, 1, 2).contiguous()),
        users=[edit.node(layer)],
    )
