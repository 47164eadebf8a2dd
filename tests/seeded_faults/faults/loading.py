"""Group G: weights that were not loaded, or loaded into the wrong place. And group H: numerics."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from layerdiff.reference import load_weights, state_dict

from .edits import Edit
from .hosts import Host, reference_network, settings_of
from .layers import Apply, Conv
from .model import Fault, Truth, exactly

__all__ = ["LOADING"]

ANY = ("torchvision18", "torchvision50", "ours18", "ours50", "sequential50", "timm50", "functional", "hwio")


def with_parameters(host: Host) -> list[str]:
    return host.kind("conv2d", "batch_norm", "linear")


def refill(edit: Edit, layers: list[str], network: nn.Module) -> None:
    """The named layers with another network's tensors."""
    for layer in layers:
        edit.put(layer, copy.deepcopy(network.get_submodule(layer)))


def fresh(host: Host, seed: int = 11) -> nn.Module:
    """A new network of torchvision's, as its constructor leaves it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = reference_network(host.expected)
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, (nn.BatchNorm2d, nn.Linear)):
                module.reset_parameters()
    return network


def nothing_loaded(edit: Edit, _place: str) -> None:
    refill(edit, with_parameters(edit.host), fresh(edit.host))


def only_the_stem_loaded(edit: Edit, _place: str) -> None:
    refill(edit, [layer for layer in with_parameters(edit.host) if layer.startswith("layer")], fresh(edit.host))


def projections_not_loaded(edit: Edit, _place: str) -> None:
    refill(edit, [layer for layer in with_parameters(edit.host) if "downsample" in layer], fresh(edit.host))


def head_not_loaded(edit: Edit, _place: str) -> None:
    refill(edit, ["fc"], fresh(edit.host))


def all_but(host: Host, *starts: str) -> tuple[Truth, ...]:
    return exactly(*(layer for layer in with_parameters(host) if not layer.startswith(starts)))


def swappable(host: Host) -> list[str]:
    """Layers that have the shapes of the one of the same name in the block behind."""
    found = []
    for layer in host.kind("conv2d", "batch_norm"):
        if other(host, layer) in host.layers and shape(host, layer) == shape(host, other(host, layer)):
            found.append(layer)
    return found


def shape(host: Host, layer: str) -> torch.Size:
    size: torch.Size = settings_of(host.expected).get_submodule(layer).weight.shape
    return size


def other(host: Host, layer: str) -> str:
    stage, _, rest = layer.partition(".")
    number, _, name = rest.partition(".")
    return f"{stage}.{int(number) + 1}.{name}" if number.isdigit() else ""


def exchanged(edit: Edit, layer: str) -> None:
    first, second = edit.like(layer), edit.like(other(edit.host, layer))
    for module, tensors in ((first, copy.deepcopy(second)), (second, copy.deepcopy(first))):
        module.load_state_dict(tensors.state_dict())
    edit.put(layer, first)
    edit.put(other(edit.host, layer), second)


def buffers_at_init(edit: Edit, _place: str) -> None:
    for layer in edit.host.kind("batch_norm"):
        norm = copy.deepcopy(edit.like(layer))
        norm.running_mean.data.zero_()
        norm.running_var.data.fill_(1)
        edit.put(layer, norm)


def last_norms(host: Host) -> list[str]:
    return [f"{block}.bn{3 if host.bottleneck else 2}" for block in host.blocks]


def zero_gamma(edit: Edit, layers: list[str]) -> None:
    for layer in layers:
        norm = copy.deepcopy(edit.like(layer))
        norm.weight.data.zero_()
        edit.put(layer, norm)


def other_checkpoint(edit: Edit, _place: str) -> None:
    network = reference_network(edit.host.expected)
    network.load_state_dict(state_dict(load_weights("synthetic:1", edit.host.expected)), strict=False)
    refill(edit, with_parameters(edit.host), network)


def other_head(edit: Edit, _place: str) -> None:
    network = reference_network(edit.host.expected)
    network.load_state_dict(state_dict(load_weights("synthetic:1", edit.host.expected)), strict=False)
    refill(edit, ["fc"], network)


def tf32(x: Tensor) -> Tensor:
    """Eleven significant bits, rounded to nearest; Dekker's splitting."""
    factor = 2.0 ** ((24 if x.dtype == torch.float32 else 53) - 11) + 1
    return x * factor - (x * factor - x)


def in_tf32(edit: Edit, layer: str) -> None:
    edit.put(layer, Conv(edit.like(layer), lambda x, w, s, p: F.conv2d(tf32(x), tf32(w), None, s, p)))


def in_half(dtype: torch.dtype) -> object:
    def plant(edit: Edit, layer: str) -> None:
        edit.put(
            layer, Conv(edit.like(layer), lambda x, w, s, p: F.conv2d(x.to(dtype), w.to(dtype), None, s, p).to(x.dtype))
        )

    return plant


def strides_forgotten(edit: Edit, layer: str) -> None:
    """Memory that is channels-last is read as if it were not."""

    def read(x: Tensor) -> Tensor:
        y = x.contiguous(memory_format=torch.channels_last)
        return y.as_strided(y.shape, torch.empty(y.shape).stride()).clone(memory_format=torch.contiguous_format)

    edit.insert(edit.inputs(layer)[0], Apply(read), users=[edit.node(layer)])


def convs(host: Host) -> list[str]:
    return host.kind("conv2d")


def inner_convs(host: Host) -> list[str]:
    return [layer for layer in convs(host) if layer.startswith("layer1") and "downsample" not in layer]


everything = lambda host: ["all"]  # noqa: E731

LOADING: tuple[Fault, ...] = (
    Fault("G1", "nothing-loaded", "no tensor was loaded", nothing_loaded, everything, lambda host, p: all_but(host),
          also=("G2",), why_causes="the projections were not loaded either", keep=True, hosts=ANY, count=3),
    Fault("G1", "stem-and-head-only", "the blocks were not loaded", only_the_stem_loaded, everything,
          lambda host, p: all_but(host, "conv1", "bn1", "fc"), also=("G2",),
          why_causes="the projections were not loaded either", keep=True, hosts=ANY, count=3),
    Fault("G2", "projections", "the projections were not loaded", projections_not_loaded, everything,
          lambda host, p: exactly(*(layer for layer in host.layers if "downsample" in layer)), causes=("G2", "G1"),
          why_causes="G1 says the same with less", keep=True, hosts=ANY, count=3),
    Fault("G2", "head", "the head was not loaded", head_not_loaded, only_fc := (lambda host: ["fc"]),
          causes=("G2", "G1"), why_causes="G1 says the same with less", keep=True, hosts=ANY, count=3),
    Fault("G3", "exchanged", "two layers have each other's weights", exchanged, swappable,
          lambda host, layer: exactly(layer, other(host, layer)), keep=True, hosts=ANY, count=3),
    Fault("G4", "buffers-at-init", "only parameters() were copied", buffers_at_init, everything,
          lambda host, p: exactly(*host.kind("batch_norm")), causes=("G4", "C11"),
          why_causes="buffers that were never updated or never loaded are the same", keep=True, hosts=ANY, count=3),
    Fault("G5", "zero-gamma", "the init after the load has set the last norm's scale to zero",
          lambda e, layer: zero_gamma(e, [layer]), last_norms, keep=True, hosts=ANY, count=3),
    Fault("G5", "zero-gamma-everywhere", "the same in every block", lambda e, p: zero_gamma(e, last_norms(e.host)),
          everything, lambda host, p: exactly(*last_norms(host)), keep=True, hosts=ANY, count=3),
    Fault("G6", "other-checkpoint", "the weights of another training", other_checkpoint, everything,
          lambda host, p: all_but(host), keep=True, hosts=ANY, count=3),
    Fault("G6", "other-head", "the head of another training", other_head, only_fc, keep=True, hosts=ANY,
          causes=("G6", "G1"), why_causes="one layer alone does not tell whose weights it has", count=2),
    Fault("H1", "tf32", "TensorFloat-32: ten bits of mantissa", in_tf32, convs, causes=("H1", "A17"),
          why_causes="the rounding is written as operations here, and these are too many", count=3),
    Fault("H2", "float16", "computed in float16", in_half(torch.float16), convs, count=3),
    Fault("H2", "bfloat16", "computed in bfloat16", in_half(torch.bfloat16), convs, count=3),
    Fault("H5", "strides-forgotten", "channels-last memory read as if it were contiguous", strides_forgotten,
          inner_convs, causes=("H5", "F3", "A17"),
          why_causes="a view for a permute reads the memory likewise; and it is an operation too many here", count=2),
)  # fmt: skip
