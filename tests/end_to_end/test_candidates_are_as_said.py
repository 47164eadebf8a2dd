"""The corpus of other people's styles is what its catalogue says, shown without any part of the instrument.

The weights are carried over by what ran: the tensors that convolutions, batch norms and linear layers were given are
views of the parameters, so writing the reference's weights into them undoes whatever layout they are stored in.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.fx
import torchvision
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torchvision.models.feature_extraction import NodePathTracer

FOLDER = Path(__file__).parents[1] / "candidates"
CLOSE = 1e-10


def load(path: Path, source: str | None = None) -> ModuleType:
    """The module in a file; with `source` in the place of its text."""
    name = f"candidates_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if source is None:
        spec.loader.exec_module(module)
    else:
        exec(compile(source, str(path), "exec"), module.__dict__)
    return module


CANDIDATES = load(FOLDER / "catalogue.py").CANDIDATES
RIGHT = [candidate for candidate in CANDIDATES if candidate.right]
WRONG = [candidate for candidate in CANDIDATES if not candidate.right]


def stem(candidate) -> str:
    """What names a candidate in the list of tests."""
    return Path(candidate.file).stem


@dataclass
class Layer:
    """One call with parameters: where its input and output lie in memory, and the tensors it was given."""

    kind: str
    takes: int
    gives: int
    tensors: dict[str, torch.Tensor]
    norm: Layer | None = None


@dataclass
class Recorder(TorchFunctionMode):
    """Lists the calls with parameters of one forward pass, and counts all calls by name."""

    layers: list[Layer] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    alive: list[object] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Runs the call, and notes it where it has parameters."""
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        self.calls[name.strip("_")] += 1
        before = args[0].data_ptr() if args and isinstance(args[0], torch.Tensor) else 0
        output = function(*args, **kwargs)
        self.alive += [args, kwargs, output]
        reader = READERS.get(function)
        if reader is not None:
            kind, tensors = reader(*args, **kwargs)
            x = args[0] if args else kwargs["input"]
            self.layers.append(Layer(kind, before or x.data_ptr(), output.data_ptr(), tensors))
        return output


def _conv(input, weight, bias=None, *_args, **_kwargs):
    return "conv", {"weight": weight} | ({} if bias is None else {"bias": bias})


def _norm(input, mean, var, weight=None, bias=None, *_args, **_kwargs):
    found = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": var}
    return "norm", {name: tensor for name, tensor in found.items() if tensor is not None}


def _torch_norm(input, weight, bias, mean, var, *_args, **_kwargs):
    return _norm(input, mean, var, weight, bias)


def _linear(input, weight, bias=None):
    return "linear", {"weight": weight} | ({} if bias is None else {"bias": bias})


def _addmm(bias, _input, weight):
    return _linear(None, weight.T, bias)


READERS = {
    torch.addmm: _addmm,
    torch.conv2d: _conv,
    functional.batch_norm: _norm,
    torch.batch_norm: _torch_norm,
    functional.linear: _linear,
}


def record(network, x) -> tuple[object, Recorder]:
    """What a forward pass returns, and what it calls."""
    with torch.no_grad(), Recorder() as recorder:
        output = network(x)
    return output, recorder


def parts(recorder: Recorder, *, bottlenecks: bool) -> dict[str, list[Layer]]:
    """The convolutions on the main path and those on shortcuts, each with its batch norm, and the classifier.

    A shortcut is a 1x1 convolution that shares its input with a narrower one; in a network of basic blocks any is.
    """
    layers = list(recorder.layers)
    if layers[-1].kind == "conv":
        layers[-1].kind = "linear"
    convs = [layer for layer in layers if layer.kind == "conv"]
    for layer in convs:
        layer.norm = next((norm for norm in layers if norm.kind == "norm" and norm.takes == layer.gives), None)
    found: dict[str, list[Layer]] = {"main": [], "shortcut": [], "linear": []}
    for layer in convs:
        width, _, *kernel = layer.tensors["weight"].shape
        narrower = any(o.takes == layer.takes and o.tensors["weight"].shape[0] < width for o in convs)
        found["shortcut" if kernel == [1, 1] and (narrower or not bottlenecks) else "main"].append(layer)
    found["linear"] = [layer for layer in layers if layer.kind == "linear"]
    return found


def fill(actual: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], held: set[int]) -> None:
    """Writes the expected tensors into the candidate's; a bias the reference does not have becomes zero.

    Tensors of other shapes, and those the candidate's state dict does not have, stay as they are.
    """
    for name, tensor in actual.items():
        value = expected.get(name, torch.zeros(()))
        if tensor.untyped_storage().data_ptr() not in held:
            continue
        if value.numel() == tensor.numel():
            value = value.reshape(tensor.shape)
        if value.ndim == 0 or value.shape == tensor.shape:
            tensor.copy_(value)


@functools.cache
def reference(name: str):
    """One of torchvision's networks in float64, with every weight and statistic away from its default."""
    network = getattr(torchvision.models, name)(weights=None).double().eval()
    generator = torch.Generator().manual_seed(5)

    def draw(tensor, low, high):
        return torch.rand(tensor.shape, generator=generator, dtype=torch.float64) * (high - low) + low

    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if tensor.ndim in (2, 4):
                tensor.copy_(draw(tensor, -1, 1) * (6 / tensor[0].numel()) ** 0.5)
            elif key.endswith("running_var"):
                tensor.copy_(draw(tensor, 0.3, 2))
            elif key.endswith("weight"):
                tensor.copy_(draw(tensor, 0.3, 1) * (draw(tensor, -0.2, 0.8)).sign())
            elif tensor.is_floating_point():
                tensor.copy_(draw(tensor, -0.5, 0.5))
    return network


def dense(size: int) -> torch.Tensor:
    """A seeded input of both signs, without zeros."""
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


@functools.cache
def reference_run(name: str, size: int) -> tuple[torch.Tensor, Recorder]:
    """What torchvision's network returns for the dense input, and what it calls."""
    return record(reference(name), dense(size))


def transfer_by_flow(name: str, actual, x) -> None:
    """Carries the reference's weights into a candidate by the order in which the layers of each path ran."""
    theirs = parts(reference_run(name, x.shape[-1])[1], bottlenecks=hasattr(reference(name).layer1[0], "conv3"))
    ours = parts(record(actual, x)[1], bottlenecks=hasattr(reference(name).layer1[0], "conv3"))
    held = {tensor.untyped_storage().data_ptr() for tensor in actual.state_dict().values()}
    with torch.no_grad():
        for path in theirs:
            for expected, candidate in zip(theirs[path], ours[path], strict=False):
                fill(candidate.tensors, expected.tensors, held)
                if expected.norm and candidate.norm:
                    fill(candidate.norm.tensors, expected.norm.tensors, held)


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def build(candidate, source: str | None = None):
    """The candidate's network, in eval mode; from other source, where it is given."""
    made = eval(candidate.call, dict(load(FOLDER / candidate.file, source).__dict__))
    return (made if isinstance(made, torch.nn.Module) else made()).eval()


def run(candidate, source: str | None = None) -> tuple[object, torch.Tensor, Counter[str]]:
    """What the candidate and torchvision's network return with the same weights, and what the candidate called."""
    actual = build(candidate, source)
    size = candidate.only_at or 64
    if candidate.carry is None:
        transfer_by_flow(candidate.expected, actual, dense(size))
    else:
        state = candidate.carry(reference(candidate.expected).state_dict())
        unexpected = actual.load_state_dict(state, strict=False).unexpected_keys
        assert not unexpected or not (candidate.right or source)
    output, recorder = record(actual, dense(size))
    return output, reference_run(candidate.expected, size)[0], recorder.calls


def distance(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """The greatest difference, relative to the expected output's greatest value."""
    return float((actual - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("candidate", RIGHT, ids=stem)
def test_a_right_candidate_is_torchvisions_function(candidate):
    """With torchvision's weights it returns torchvision's output, to within float64's rounding."""
    actual, expected, _ = run(candidate)

    assert actual.shape == expected.shape
    assert distance(actual, expected) < CLOSE
    assert not any((candidate.layers, candidate.missing, candidate.one_of, candidate.extra_kinds, candidate.crash))


@pytest.mark.parametrize("candidate", WRONG, ids=stem)
def test_a_wrong_candidate_is_not(candidate):
    """It raises, returns something else than one tensor, differs, or agrees only with operations on top."""
    assert any((candidate.layers, candidate.missing, candidate.one_of, candidate.extra_kinds, candidate.returns))
    if candidate.crash:
        network = build(candidate)
        with pytest.raises(RuntimeError, match=r"shape|size|channels"):
            record(network, dense(64))
        return

    actual, expected, calls = run(candidate)

    assert set(candidate.extra_kinds) <= set(calls)
    if candidate.returns:
        assert type(actual).__name__ == candidate.returns
    elif actual.shape == expected.shape:
        faulty = bool(candidate.layers or candidate.missing or candidate.one_of or candidate.random)
        assert (distance(actual, expected) > CLOSE) is faulty


@pytest.mark.parametrize("candidate", [c for c in WRONG if c.repair], ids=stem)
def test_a_wrong_candidate_is_right_once_repaired(candidate):
    """With the faults it is said to have mended in its source, and nothing else, it is torchvision's function."""
    source = (FOLDER / candidate.file).read_text()
    for wrong, right in candidate.repair:
        assert wrong in source, f"{candidate.file}: not in it: {wrong!r}"
        source = source.replace(wrong, right)

    actual, expected, _ = run(candidate, source)

    assert actual.shape == expected.shape
    assert distance(actual, expected) < CLOSE


@functools.cache
def graph_of(name: str) -> tuple[torch.fx.GraphModule, dict[torch.fx.Node, str]]:
    """The graph of torchvision's network, and the layer ids of its nodes."""
    tracer = NodePathTracer()
    graph = tracer.trace(reference(name))
    return torch.fx.GraphModule(tracer.root, graph), dict(tracer.node_to_qualname)


class Spoiled(torch.fx.Interpreter):
    """Runs torchvision's network with other functions in the place of some layers, or beside them.

    Attributes:
        apart: for each such layer how far what it would give lies from what it gives, both on the layer's own input;
            infinite where the shapes differ.
    """

    def __init__(self, candidate, *, replace: bool):
        graph, self.ids = graph_of(candidate.expected)
        super().__init__(graph)
        self.candidate, self.replace, self.apart = candidate, replace, {}

    def run_node(self, n):
        """One layer."""
        layer = self.ids.get(n)
        if layer not in self.candidate.named:
            return super().run_node(n)
        inputs = [x.clone() for x in self.fetch_args_kwargs_from_env(n)[0] if isinstance(x, torch.Tensor)]
        spoiled = self.candidate.spoil(reference(self.candidate.expected), layer, *inputs)
        if self.replace:
            return spoiled
        right = super().run_node(n)
        self.apart[layer] = distance(spoiled, right) if spoiled.shape == right.shape else float("inf")
        return right


@pytest.mark.parametrize("candidate", [c for c in WRONG if c.spoil], ids=stem)
def test_a_fault_is_in_the_layers_named(candidate):
    """Torchvision's network with the fault in just these layers is the candidate, and each of them is at fault."""
    x = dense(64)
    with torch.no_grad():
        spoiled = Spoiled(candidate, replace=True).run(x)
        watched = Spoiled(candidate, replace=False)
        watched.run(x)

    assert distance(run(candidate)[0], spoiled) < CLOSE
    assert set(watched.apart) == set(candidate.named)
    faulty = {layer for layer, apart in watched.apart.items() if apart > CLOSE}
    assert {*candidate.layers, *candidate.missing} <= faulty
    assert all(faulty.intersection(group) for group in candidate.one_of)


@pytest.mark.parametrize("candidate", WRONG, ids=stem)
def test_the_layers_named_are_torchvisions(candidate):
    """Every layer id in the catalogue is a node of the expected network, and none is named twice."""
    named = [*candidate.layers, *candidate.missing]

    assert len(set(named)) == len(named)
    assert set(candidate.named) <= set(graph_of(candidate.expected)[1].values())


def test_every_file_is_in_the_catalogue_once():
    """No candidate is forgotten, none is listed twice, and there are as many as were promised."""
    listed = [candidate.file for candidate in CANDIDATES]

    assert sorted(listed) == sorted(path.name for path in FOLDER.glob("*.py") if path.name != "catalogue.py")
    assert len(set(listed)) == len(listed)
    assert len(RIGHT) >= 30
    assert len(WRONG) >= 14


def test_candidates_need_only_torch_and_say_nothing(capfd):
    """They import torch and the standard library alone, and print nothing when they are imported."""
    for candidate in CANDIDATES:
        source = (FOLDER / candidate.file).read_text()
        imports = re.findall(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE)
        assert set(imports) <= {"torch", *sys.stdlib_module_names}, candidate.file
        load(FOLDER / candidate.file)

    assert capfd.readouterr() == ("", "")
