"""Groups C and K: batch norm, its statistics, and the mode it is in."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .edits import Edit
from .hosts import Host, expected_side, reference_network
from .layers import FreshDropout, Norm, conv_with, norm_with
from .model import Fault, Truth, exactly

__all__ = ["NORMALISATION"]


def norms(host: Host) -> list[str]:
    return host.kind("batch_norm")


def behind_conv(host: Host) -> list[str]:
    return [layer for layer in norms(host) if conv_before(layer) in host.layers]


def conv_before(layer: str) -> str:
    return layer.replace("downsample.1", "downsample.0") if "downsample" in layer else layer.replace("bn", "conv")


def put_formula(formula: object) -> object:
    return lambda edit, layer: edit.put(layer, Norm(edit.like(layer), formula))  # type: ignore[arg-type]


def eps(value: float) -> object:
    """In the host's own way, where it has an eps."""

    def plant(edit: Edit, layer: str) -> None:
        node, module = edit.node(layer), edit.called(layer)
        if module is not None and hasattr(module, "eps"):
            edit.set(layer, eps=value)
        elif node.op == "call_function" and node.target is F.batch_norm:
            node.kwargs = {**node.kwargs, "eps": value}
        else:
            edit.put(layer, norm_with(edit.like(layer), eps=value))

    return plant


def every_eps(edit: Edit, _place: str) -> None:
    for layer in norms(edit.host):
        eps(1e-3)(edit, layer)  # type: ignore[operator]


def plain(x: Tensor, w: Tensor, b: Tensor, m: Tensor, v: Tensor, e: float) -> Tensor:
    return (x - m) / torch.sqrt(v + e) * w + b


def mean_and_var_swapped(edit: Edit, layer: str) -> None:
    """The variances land in the mean, and the means in the variance: NaN wherever one of these is negative."""
    norm = copy.deepcopy(edit.like(layer))
    norm.running_mean.data, norm.running_var.data = norm.running_var.clone(), norm.running_mean.clone()
    edit.put(layer, norm)


def gamma_and_beta_swapped(edit: Edit, layer: str) -> None:
    norm = copy.deepcopy(edit.like(layer))
    weight, bias = norm.weight.data.clone(), norm.bias.data.clone()
    norm.weight.data, norm.bias.data = bias, weight
    edit.put(layer, norm)


def folded(bias: object) -> object:
    """A convolution that is meant to hold the batch norm behind it; `bias(w, b, m, v)` is its bias."""

    def plant(edit: Edit, layer: str) -> None:
        norm, conv = edit.like(layer), conv_with(edit.like(conv_before(layer)), bias=True)
        scale = norm.weight / torch.sqrt(norm.running_var + 1e-5)
        conv.weight.data = conv.weight.data * scale[:, None, None, None]
        conv.bias.data = bias(norm, scale).clone()  # type: ignore[operator]
        edit.put(conv_before(layer), conv)
        edit.drop(layer)

    return plant


def blob_factor(edit: Edit, layer: str) -> None:
    norm = copy.deepcopy(edit.like(layer))
    norm.running_mean.data *= 999.98
    norm.running_var.data *= 999.98
    edit.put(layer, norm)


def at_init(edit: Edit, layer: str) -> None:
    norm = copy.deepcopy(edit.like(layer))
    norm.running_mean.data.zero_()
    norm.running_var.data.fill_(1)
    edit.put(layer, norm)


class Normalises(nn.Module):
    """A batch norm whose author passed `training=True`."""

    def __init__(self, like: nn.Module) -> None:
        super().__init__()
        self.norm = norm_with(like)

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=True)


def untracked(edit: Edit, layer: str) -> None:
    edit.put(layer, norm_with(edit.like(layer), track_running_stats=False))


def all_of(plant: object) -> object:
    def everywhere(edit: Edit, _place: str) -> None:
        for layer in norms(edit.host):
            plant(edit, layer)  # type: ignore[operator]

    return everywhere


def everywhere(host: Host, _place: str) -> tuple[Truth, ...]:
    return exactly(*norms(host))


def moved(edit: Edit, layers: list[str], momentum: float) -> None:
    """The running statistics after one more pass in training mode."""
    network = reference_network(edit.host.expected)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
            module.training = True
    x = torch.from_numpy(expected_side(edit.host.expected, (64, 64), 2).x)
    with torch.no_grad():
        network(x)
    network.eval()
    for layer in layers:
        norm = copy.deepcopy(network.get_submodule(layer))
        norm.momentum = 0.1
        edit.put(layer, norm)


def batch_mean(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return x.mean(dims, keepdim=True)


def per_sample(x: Tensor, w: Tensor, b: Tensor, m: Tensor, v: Tensor, e: float) -> Tensor:
    """Statistics over (H, W) of each picture."""
    return (x - x.mean((2, 3), keepdim=True)) / torch.sqrt(x.var((2, 3), correction=0, keepdim=True) + e) * w + b


def over_channels(x: Tensor, w: Tensor, b: Tensor, m: Tensor, v: Tensor, e: float) -> Tensor:
    """Statistics over the channels of each pixel."""
    return (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, correction=0, keepdim=True) + e) * w + b


def over_rows(x: Tensor, w: Tensor, b: Tensor, m: Tensor, v: Tensor, e: float) -> Tensor:
    return (x - x.mean((0, 2), keepdim=True)) / torch.sqrt(x.var((0, 2), correction=0, keepdim=True) + e) * w + b


def along_width(edit: Edit, layer: str) -> None:
    edit.put(layer, Norm(edit.like(layer), plain, axis=3))


WIDTH_IS_CHANNELS = ("layer1.0.bn1", "layer1.0.bn2", "layer1.1.bn1", "layer1.1.bn2")

NORMALISATION: tuple[Fault, ...] = (
    Fault("C1", "eps-1e-3", "TensorFlow's eps", eps(1e-3), norms, count=3),
    Fault("C1", "eps-1.001e-5", "Keras's eps of a DenseNet", eps(1.001e-5), norms, count=3),
    Fault("C1", "eps-1e-6", "darknet's eps", eps(1e-6), norms, count=3),
    Fault("C1", "eps-0", "no eps: set to zero", eps(0.0), norms, causes=("C1", "C7"),
          why_causes="an eps of zero and a forgotten one are the same", count=3),
    Fault("C1", "eps-everywhere", "TensorFlow's eps in every batch norm", every_eps, lambda host: ["all"], everywhere, count=3),
    Fault("C4", "mean-and-var", "mean and variance were assigned the other way round", mean_and_var_swapped, norms,
          keep=True, count=3),
    Fault("C4", "gamma-and-beta", "weight and bias were assigned the other way round", gamma_and_beta_swapped, norms,
          keep=True, count=3),
    Fault("C4", "swapped-in-code", "the code takes the mean for the variance",
          put_formula(lambda x, w, b, m, v, e: (x - v) / torch.sqrt(m + e) * w + b), norms, keep=True, count=3),
    Fault("C5", "along-width", "parameters lie along W", along_width,
          lambda host: [] if host.bottleneck else WIDTH_IS_CHANNELS, keep=True, size=(40, 256), count=3),
    Fault("C6", "per-sample", "statistics of each picture", put_formula(per_sample), norms,
          causes=("C6", "K1", "K5"), why_causes="with one picture, those of the batch", count=3),
    Fault("C6", "over-channels", "statistics over the channels", put_formula(over_channels), norms, count=3),
    Fault("C6", "over-rows", "statistics over batch and rows", put_formula(over_rows), norms, count=3, batch=2),
    Fault("C7", "eps-outside", "eps is added behind the root",
          put_formula(lambda x, w, b, m, v, e: (x - m) / (torch.sqrt(v) + e) * w + b), norms, count=3),
    Fault("C7", "eps-forgotten", "no eps at all", put_formula(lambda x, w, b, m, v, e: (x - m) / torch.sqrt(v) * w + b),
          norms, causes=("C7", "C1"), why_causes="an eps of zero and a forgotten one are the same", count=3),
    Fault("C7", "by-variance", "divided by the variance",
          put_formula(lambda x, w, b, m, v, e: (x - m) / (v + e) * w + b), norms, count=3),
    Fault("C7", "squared", "the square for the root",
          put_formula(lambda x, w, b, m, v, e: (x - m) / (v + e) ** 2 * w + b), norms, count=3),
    Fault("C8", "blob-factor", "Caffe's scale factor was not applied to the statistics", blob_factor, norms, keep=True, count=3),
    Fault("C9", "no-gamma", "the scale is not applied", put_formula(lambda x, w, b, m, v, e: (x - m) / torch.sqrt(v + e) + b),
          norms, count=3),
    Fault("C9", "no-beta", "the shift is not applied", put_formula(lambda x, w, b, m, v, e: (x - m) / torch.sqrt(v + e) * w),
          norms, count=3),
    Fault("C9", "not-affine", "neither scale nor shift", lambda e, layer: e.put(layer, norm_with(e.like(layer), affine=False)),
          norms, count=3),
    Fault("C10", "bias-dropped", "folded, and the bias forgotten", folded(lambda n, s: torch.zeros_like(n.bias)),
          behind_conv, lambda host, layer: (*exactly(conv_before(layer), layer), *exactly(layer)), keep=True, count=3),
    Fault("C10", "mean-not-scaled", "folded with the mean as it is", folded(lambda n, s: n.bias - n.running_mean),
          behind_conv, lambda host, layer: (*exactly(conv_before(layer), layer), *exactly(layer)), keep=True, count=3),
    Fault("C11", "stats-at-init", "the statistics of one batch norm are at their first values", at_init, norms,
          causes=("C11", "G4"), why_causes="buffers that were never updated or never loaded are the same", keep=True, count=3),
    Fault("K1", "training-true", "one batch norm takes the batch's own statistics",
          lambda e, layer: e.put(layer, Normalises(e.like(layer))), norms, causes=("K1", "K5"),
          why_causes="batch statistics in eval, whatever the reason", batch=2, count=3),
    Fault("K1", "everywhere", "every batch norm takes the batch's own statistics",
          all_of(lambda e, layer: e.put(layer, Normalises(e.like(layer)))), lambda host: ["all"], everywhere,
          causes=("K1", "K5"), why_causes="batch statistics in eval, whatever the reason", batch=2, count=3),
    Fault("K2", "trained-once", "a pass in training mode moved all statistics",
          lambda e, p: moved(e, norms(e.host), 0.1), lambda host: ["all"], everywhere, causes=("K2", "K3"),
          why_causes="statistics that moved, whoever moved them", keep=True, count=3),
    Fault("K3", "frozen-moved", "the statistics of one batch norm went on moving", lambda e, layer: moved(e, [layer], 0.01),
          norms, causes=("K2", "K3"), why_causes="statistics that moved, whoever moved them", keep=True, count=3),
    Fault("K4", "dropout-made-in-forward", "nn.Dropout(0.5)(x) in front of the head",
          lambda e, layer: e.insert(e.inputs(layer)[0], FreshDropout(0.5)), lambda host: ["fc"], count=3),
    Fault("K5", "untracked", "track_running_stats=False", untracked, norms, causes=("K5", "K1"),
          why_causes="batch statistics in eval, whatever the reason", batch=2, count=3),
)  # fmt: skip
