"""The correct networks in which faults are planted, and which of their operations are which expected layers."""

from __future__ import annotations

import copy
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from layerdiff.compare.capture import capture
from layerdiff.compare.trace import Trace
from layerdiff.handwritten import numpy_resnet, torch_resnet
from layerdiff.reference import torchvision_model
from layerdiff.subject import Subject, capture_expected, load_subject

from . import small

__all__ = ["HOSTS", "Host", "Side", "correct", "expected_side", "host", "reference_network", "subject_of"]

CANDIDATES = Path(__file__).resolve().parent.parent.parent / "candidates"


@dataclass(frozen=True)
class Host:
    """A correct network.

    Attributes:
        name: by which plantings call it.
        expected: what it is: torchvision's name, or that of one of `small`.
        build: makes it, without weights.
        carry: its state dict from the expected network's.
        numpy: whether it is a NumPy network.
        style: whether it is written in somebody else's style.
    """

    name: str
    expected: str
    build: Callable[[], Any] = field(repr=False)
    carry: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = field(default=lambda state: state, repr=False)
    numpy: bool = False
    style: bool = False

    @property
    def layers(self) -> dict[str, str]:
        """The kind of each expected layer, by id, in order."""
        return {op.layer: op.kind for op in expected_side(self.expected).trace.ops}

    @property
    def blocks(self) -> list[str]:
        """The residual blocks."""
        found = (re.match(r"layer\d\.\d+", layer) for layer in self.layers)
        return list(dict.fromkeys(match[0] for match in found if match))

    def of(self, block: str) -> list[str]:
        """The ids of a block's layers."""
        return [layer for layer in self.layers if layer.startswith(f"{block}.")]

    def kind(self, *kinds: str) -> list[str]:
        """The ids of all layers of some kinds."""
        return [layer for layer, kind in self.layers.items() if kind in kinds]

    @property
    def bottleneck(self) -> bool:
        """Whether blocks have three convolutions."""
        return any(layer.endswith("conv3") for layer in self.layers)


@dataclass(frozen=True)
class Side:
    """The expected side: its trace, its weights and the input."""

    trace: Trace
    weights: Mapping[str, Any]
    x: np.ndarray[Any, Any]


@cache
def subject_of(architecture: str, size: tuple[int, int], batch: int) -> Subject:
    """Weights, picture and input for one of torchvision's networks."""
    return load_subject(f"torchvision:{architecture}", "synthetic", [], size, batch)


@cache
def expected_side(name: str, size: tuple[int, int] = (64, 64), batch: int = 1) -> Side:
    """The expected network of that name, captured."""
    if name in small.NETWORKS:
        network = reference_network(name)
        x = subject_of("resnet18", size, batch).x
        state = {
            key: tensor.numpy().copy() for key, tensor in network.state_dict().items() if tensor.is_floating_point()
        }
        return Side(capture(network, x), state, x)
    subject = subject_of(name, size, batch)
    return Side(capture_expected(subject, until=None), subject.weights.state, subject.x)


@cache
def _reference(name: str) -> nn.Module:
    if name in small.NETWORKS:
        return small.NETWORKS[name]()
    return torchvision_model(name, subject_of(name, (64, 64), 1).weights)


def settings_of(name: str) -> nn.Module:
    """The expected network itself, to be looked at and not touched."""
    return _reference(name)


def reference_network(name: str) -> nn.Module:
    """A copy of the expected network with its weights, in eval mode."""
    network: nn.Module = copy.deepcopy(_reference(name)).eval().requires_grad_(False)
    return network


def _module(file: str) -> ModuleType:
    name = f"_seeded_{file.removesuffix('.py')}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, CANDIDATES / file)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def _in_order(build: Callable[[], nn.Module]) -> Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]:
    def carry(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        names = [key for key in build().state_dict() if "num_batches" not in key]
        values = [value for key, value in state.items() if "num_batches" not in key]
        return dict(zip(names, values, strict=True))

    return carry


def _parts(key: str) -> tuple[int, int, str, str]:
    """Stage and block from 0 (-1 for the stem and the head), the layer, the tensor."""
    module, _, tensor = key.rpartition(".")
    found = re.match(r"layer(\d)\.(\d)\.(.+)", module)
    return (int(found[1]) - 1, int(found[2]), found[3], tensor) if found else (-1, -1, module, tensor)


def _functional(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    tensors = {"weight": "g", "bias": "b", "running_mean": "mean", "running_var": "var"}
    renamed = {"params.head_w": state["fc.weight"], "params.head_b": state["fc.bias"]}
    for key, value in state.items():
        stage, block, layer, tensor = _parts(key)
        if layer == "fc" or tensor not in tensors:
            continue
        which = "proj" if "downsample" in layer else layer[-1]
        name = "stem" if stage < 0 else f"s{stage}b{block}_{which}"
        full = f"{name}_{'w' if value.ndim == 4 else tensors[tensor]}"
        renamed[full if tensor.startswith("running") else f"params.{full}"] = value
    return renamed


def _hwio(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    tensors = {"weight": "scale", "bias": "offset", "running_mean": "mean", "running_var": "variance"}
    renamed = {"logits.kernel": state["fc.weight"].T.contiguous(), "logits.bias": state["fc.bias"]}
    for key, value in state.items():
        stage, block, layer, tensor = _parts(key)
        if layer == "fc" or tensor not in tensors:
            continue
        kernel = value.ndim == 4
        kind = "conv" if kernel else "norm"
        number = "shortcut" if "downsample" in layer else str(int(layer[-1]) - 1)
        name = f"initial_{kind}" if stage < 0 else f"block_groups.{stage}.{block}.{kind}_{number}"
        renamed[f"{name}.{'kernel' if kernel else tensors[tensor]}"] = (
            value.permute(2, 3, 1, 0).contiguous() if kernel else value
        )
    return renamed


def _own(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    carried: Mapping[str, Tensor] = _module("catalogue.py").own_layers(dict(state))
    return carried


def _plain(name: str) -> Callable[[], nn.Module]:
    return lambda: reference_network(name)


def _style(file: str, call: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        network: nn.Module = getattr(_module(file), call)()
        return network

    return build


HOSTS: dict[str, Host] = {
    one.name: one
    for one in (
        Host("torchvision18", "resnet18", _plain("resnet18")),
        Host("torchvision50", "resnet50", _plain("resnet50")),
        Host("ours18", "resnet18", lambda: torch_resnet.build("resnet18")),
        Host("ours50", "resnet50", lambda: torch_resnet.build("resnet50")),
        Host("own_conv_and_bn", "resnet18", _style("own_conv_and_bn.py", "MyResNet18"), _own, style=True),
        Host("functional", "resnet18", _style("functional_parameterdict.py", "Model"), _functional, style=True),
        Host(
            "sequential50",
            "resnet50",
            _style("sequential_stages.py", "resnet50"),
            _in_order(_style("sequential_stages.py", "resnet50")),
            style=True,
        ),
        Host("hwio", "resnet18", _style("hwio_kernels.py", "ResNet18"), _hwio, style=True),
        Host("timm50", "resnet50", _style("timm_like.py", "resnet50"), style=True),
        Host("numpy18", "resnet18", lambda: numpy_resnet.build("resnet18"), numpy=True),
        Host("resnext", "resnext50_32x4d", _plain("resnext50_32x4d")),
        *(Host(name, name, _plain(name)) for name in small.NETWORKS),
    )
}

MAIN = tuple(name for name, one in HOSTS.items() if not one.numpy and one.expected in {"resnet18", "resnet50"})


def host(name: str) -> Host:
    """The host of that name."""
    return HOSTS[name]


@cache
def _correct(name: str) -> Any:
    one = HOSTS[name]
    network = one.build()
    state = reference_network(one.expected).state_dict()
    if one.numpy:
        network.load_state_dict({key: value.numpy() for key, value in state.items() if "num_batches" not in key})
        return network
    lacking, unexpected = network.load_state_dict(one.carry(state), strict=False)
    assert not unexpected
    assert all(key.endswith("num_batches_tracked") for key in lacking), lacking
    return network.eval().requires_grad_(False)


def correct(name: str) -> Any:
    """A copy of a correct network, with the expected network's weights."""
    return copy.deepcopy(_correct(name))


class Leaves(fx.Tracer):
    """Modules without children are operations; so is everything called between them."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether `m` is not looked into."""
        return not list(m.children())


class _Values(fx.Interpreter):
    """Keeps what each node gave, before an operation in place can change it."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        """What the node gives."""
        result = super().run_node(n)
        if isinstance(result, Tensor) and n.op not in {"placeholder", "get_attr", "output"}:
            self.values[n.name] = result.clone()
        return result


def _traced(network: nn.Module) -> fx.GraphModule:
    return fx.GraphModule(network, Leaves().trace(network), type(network).__name__).eval()


def _values(traced: fx.GraphModule, x: np.ndarray[Any, Any]) -> dict[str, Tensor]:
    interpreter = _Values(copy.deepcopy(traced).double())
    with torch.no_grad():
        interpreter.run(torch.from_numpy(x).double())
    return interpreter.values


@cache
def expected_values(name: str) -> dict[str, Tensor]:
    """The float64 output of each expected layer, by torch.fx alone."""
    side = expected_side(name)
    values = list(_values(_traced(reference_network(name)), side.x).values())
    return dict(zip((op.layer for op in side.trace.ops), values, strict=True))


@cache
def _graph(name: str) -> tuple[fx.GraphModule, dict[str, str]]:
    """A correct host as a graph, and the node of each expected layer: the first that gives its values."""
    one = HOSTS[name]
    traced = _traced(correct(name))
    given = _values(traced, expected_side(one.expected).x)
    nodes: dict[str, str] = {}
    for layer, value in expected_values(one.expected).items():
        for node, other in given.items():
            if other.shape == value.shape and torch.allclose(other, value, rtol=1e-6, atol=1e-9):
                nodes[layer] = node
                break
    return traced, nodes


def graph(name: str) -> tuple[fx.GraphModule, dict[str, str]]:
    """A copy of a correct host as a graph, and the name of the node of each expected layer."""
    traced, nodes = _graph(name)
    return copy.deepcopy(traced), dict(nodes)
