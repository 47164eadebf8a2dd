"""How two networks begin: right ones are always the same, what is too small to tell is counted, nothing is changed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from initial_kit import SIZE, Block, judged, kernels
from torch import nn

import layerdiff
from layerdiff.compare.initial.apart import TOLD, apart
from layerdiff.compare.initial.initial import initial_to_json
from layerdiff.compare.initial.judge_initial import judge_initial
from layerdiff.compare.initial.places import Place, places_of
from layerdiff.compare.initial.rules import fans_of
from layerdiff.compare.initial.sample import sample_of
from layerdiff.compare.render.initial import render_initial, render_initial_concise
from layerdiff.compare.structure import structure_of
from layerdiff.compare.transfer import Carried, Transfer
from layerdiff.reference import torchvision_model


def _samples(name, seed):
    state = torchvision_model(name, seed=seed).state_dict()
    return {key: sample_of(tensor.numpy()) for key, tensor in state.items() if tensor.is_floating_point()}


@pytest.mark.parametrize(("name", "seeds"), [("resnet18", 8), ("resnet50", 3)])
def test_torchvision_is_the_same_under_any_seed(name, seeds):
    """A network built again under other seeds is never told from itself, in any of its tensors."""
    expected = _samples(name, 1000)
    for seed in range(seeds):
        actual = _samples(name, seed)
        assert [key for key in expected if expected[key].constant != actual[key].constant] == []
        drawn = [key for key in expected if expected[key].constant is None]
        # Above 0: they are other draws.
        assert 0 < max(apart(expected[key], actual[key]).worst for key in drawn) < TOLD


@pytest.mark.parametrize("own", ["torch", "numpy"])
def test_our_own_networks_begin_as_torchvisions_do(own):
    """Both handwritten networks draw as torchvision does, and the rule of every tensor is known."""
    found = layerdiff.compare_initial(own, expected="torchvision:resnet18")

    assert (found.verdict, found.findings) == ("same", ())
    assert {(one.group, one.drawn) for one in found.tensors} == {
        ("the convolutions' weights", "kaiming_normal(fan_out)"),
        ("the batch norms' scales", "all 1"),
        ("the batch norms' shifts", "all 0"),
        ("the batch norms' running means", "all 0"),
        ("the batch norms' running variances", "all 1"),
        ("the linear layers' weights", "kaiming_uniform(a=√5), torch's default"),
        ("the linear layers' biases", "torch's default, uniform within 1/√fan_in"),
    }


@pytest.mark.parametrize("seed", range(8))
def test_a_small_network_is_the_same_under_any_seed(seed):
    """A right network of small tensors: same, and the seed is the candidate's own affair."""
    assert judged(seed=seed).verdict == "same"


class Renamed(nn.Module):
    """The small network without its second block, with names of its own and a kernel as (h, w, in, out)."""

    def __init__(self, gain=1.0):
        super().__init__()
        self.k = nn.Parameter(torch.randn(3, 3, 3, 32) * gain * (2 / 288) ** 0.5)
        self.n = nn.BatchNorm2d(32)
        self.head = nn.Linear(32, 100)

    def forward(self, x):
        """(n, 3, h, w) to logits."""
        x = torch.conv2d(x, self.k.permute(3, 2, 0, 1), padding=1)
        return self.head(self.n(x).relu().mean([2, 3]))


class Plain(nn.Module):
    """The same by torch's modules."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out")
        self.bn = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32, 100)

    def forward(self, x):
        """(n, 3, h, w) to logits."""
        return self.fc(self.bn(self.conv(x)).relu().mean([2, 3]))


def test_tensors_of_other_names_and_layouts_are_paired():
    """By the data flow, as for the transfer of weights; the fans are those of the expected layout."""
    torch.manual_seed(0)
    expected = Plain()
    same = layerdiff.compare_initial(Renamed(), expected=expected, size=SIZE)
    other = layerdiff.compare_initial(Renamed(0.5**0.5), expected=expected, size=SIZE)

    assert (same.verdict, same.findings) == ("same", ())
    assert {one.name: one.partner for one in same.tensors}["conv.weight"] == "k"
    (one,) = other.findings
    assert (one.layers, one.partners) == (("conv.weight",), ("k",))
    assert one.title == (
        "the convolutions' weights are drawn by kaiming_normal(fan_out) of gain 1, expected kaiming_normal(fan_out)"
    )


class Restless(nn.BatchNorm2d):
    """A norm that goes on training whatever its mode."""

    def forward(self, x):
        """(n, c, h, w) to the same."""
        return torch.batch_norm(
            x, self.weight, self.bias, self.running_mean, self.running_var, True, self.momentum, self.eps, False
        )


def test_nothing_is_changed():
    """Weights, buffers and the generators are afterwards what they were, also of a norm that stays in training mode."""
    torch.manual_seed(0)
    actual, expected = Renamed(), Plain()
    actual.n = Restless(32)
    before = {id(net): {k: v.clone() for k, v in net.state_dict().items()} for net in (actual, expected)}
    state = torch.random.get_rng_state()

    found = layerdiff.compare_initial(actual, expected=expected, size=SIZE)

    assert found.verdict == "same"
    assert torch.equal(state, torch.random.get_rng_state())
    for net in (actual, expected):
        assert all(torch.equal(value, before[id(net)][key]) for key, value in net.state_dict().items())


def test_what_a_forward_pass_changes_is_not_looked_at():
    """A network that changes its weights when it runs, as it does while tensors are paired, is judged as built."""

    class Shrinks(Renamed):
        def forward(self, x):
            self.k.data.mul_(0.5)
            return super().forward(x)

    torch.manual_seed(0)
    assert layerdiff.compare_initial(Shrinks(), expected=Plain(), size=SIZE).verdict == "same"


FILE = """
from torch import nn


def build():
    return nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 8, 3, bias=False))
"""


def test_the_seed_is_the_candidates_and_the_next_one_the_references(tmp_path):
    """The same seed gives the same bytes, another one other draws, and both sides are never drawn alike."""
    path = tmp_path / "net.py"
    path.write_text(FILE)
    first, again, other = (
        layerdiff.compare_initial(str(path), expected=str(path), size=SIZE, seed=seed) for seed in (0, 0, 1)
    )

    assert initial_to_json(first) == initial_to_json(again)
    assert [one.expected for one in first.tensors] == [one.actual for one in other.tensors]
    assert all(one.expected != one.actual for one in first.tensors)
    assert {found.verdict for found in (first, other)} == {"same"}


@pytest.mark.parametrize("swapped", [False, True])
def test_the_last_norm_of_a_branch_is_not_the_projections(swapped):
    """Both run just before the addition; the branch's has more layers before it, in whichever order they stand."""

    class Swapped(Block):
        def forward(self, x):
            branch = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            shortcut = self.downsample(x)
            return shortcut + branch if swapped else branch + shortcut

    network = Swapped(8, 16).eval()
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    found = places_of(structure_of(network, (1, 8, 8, 8)).ops, shapes)

    assert [name for name, place in found.items() if place.last] == ["bn2.weight"]
    assert {name for name, place in found.items() if place.running} == {name for name in shapes if "running_" in name}


def test_two_samples_at_both_ends_of_one_rule_are_no_cause():
    """Where both sides could have come of one rule and are yet too far apart, no rule is named against itself."""
    generator = np.random.default_rng(0)
    z = generator.standard_normal((100, 200, 1, 1))
    z *= (2 / 100) ** 0.5 / z.std()
    # Five standard errors of 20,000 values up and down: seven of their difference.
    off = 5 * (0.5 / z.size) ** 0.5
    place = Place("the convolutions' weights", "kernel", fans_of(z.shape))

    found = judge_initial(
        {"w": z / (1 + off)}, {"w": z * (1 + off)}, Transfer((Carried("w", "w"),)), {"w": place}
    )  # fmt: skip

    (one,) = found.findings
    assert found.tensors[0].drawn == "kaiming_normal(fan_out)"
    assert (one.code, one.confirmed) == ("U1", False)


class Narrow(nn.Module):
    """Layers with few outputs, whose biases are too small to tell."""

    def __init__(self, layers, width=6):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(3 if i == 0 else width, width, 1) for i in range(layers)))

    def forward(self, x):
        """(n, 3, h, w) to maps."""
        return self.layers(x)


def narrow(layers, *, seed, factor=1.0):
    """Such a network, its biases `factor` times as large as torch draws them."""
    torch.manual_seed(seed)
    network = Narrow(layers)
    with torch.no_grad():
        for layer in network.layers:
            layer.bias.mul_(factor)
    return network


def test_what_is_too_small_to_tell_is_counted_and_not_same():
    """A bias of 6 values tells nothing: could not tell, with how many of them and why."""
    found = layerdiff.compare_initial(narrow(2, seed=0), expected=narrow(2, seed=1), size=SIZE)
    status = {one.name: (one.status, one.reason) for one in found.tensors}

    assert found.verdict == "unknown"
    assert status["layers.1.weight"] == ("same", "")
    assert status["layers.0.bias"] == ("unjudged", "6 values, 30 are needed")
    # A kernel of (6, 3, 1, 1) has too few as well.
    assert status["layers.0.weight"] == ("unjudged", "18 values, 30 are needed")
    assert render_initial(found).splitlines()[-1] == "could not tell: of 4 tensors 3 too small to tell, 1 as expected"


def test_small_tensors_are_judged_together():
    """Biases of layers with the same fans are one sample: enough to be the same, and to be told apart and named."""
    expected = narrow(20, seed=1)
    same = layerdiff.compare_initial(narrow(20, seed=0), expected=expected, size=SIZE)
    other = layerdiff.compare_initial(narrow(20, seed=0, factor=4), expected=expected, size=SIZE)

    def biases(found):
        return [one for one in found.tensors if one.name.endswith("bias") and not one.name.startswith("layers.0.")]

    assert {(one.status, one.pooled) for one in biases(same)} == {("same", 19 * 6)}
    assert {(one.status, one.pooled) for one in biases(other)} == {("different", 19 * 6)}
    (reason,) = {one.reason for one in biases(other)}
    assert reason.startswith("together with 18 more of 114 values: std ")
    assert other.verdict == "different"
    (one,) = other.findings
    assert set(one.layers) == {one.name for one in biases(other)}


def test_one_value_is_not_told():
    """A single value may be a constant or drawn: equal ones are the same, others unjudged."""

    class Scaled(nn.Module):
        def __init__(self, value):
            super().__init__()
            self.slope = nn.PReLU(init=value)

        def forward(self, x):
            return self.slope(x)

    found = layerdiff.compare_initial(Scaled(0.25), expected=Scaled(0.25), size=SIZE)
    other = layerdiff.compare_initial(Scaled(0.1), expected=Scaled(0.25), size=SIZE)

    assert (found.verdict, other.verdict) == ("same", "unknown")
    assert other.tensors[0].reason == "0.1, expected 0.25: one value does not tell"


def test_what_is_missing_or_too_many_is_not_same():
    """A layer that the candidate lacks, and one that the reference has not, are told; nothing is called same."""

    class Deeper(Plain):
        def __init__(self):
            super().__init__()
            self.more = nn.Linear(100, 100)

        def forward(self, x):
            return self.more(super().forward(x).relu())

    torch.manual_seed(0)
    less = layerdiff.compare_initial(Plain(), expected=Deeper(), size=SIZE)
    more = layerdiff.compare_initial(Deeper(), expected=Plain(), size=SIZE)

    assert less.verdict == more.verdict == "different"
    assert {one.status for one in less.tensors} == {"same", "missing"}
    assert {one.status for one in more.tensors} == {"same", "extra"}
    assert [one.reason for one in less.tensors if one.status == "missing"] == ["the candidate has none"] * 2


def test_no_tensors_at_all():
    """Where there is nothing to compare, nobody can tell."""

    class Empty(nn.Module):
        def forward(self, x):
            return x * 2

    found = layerdiff.compare_initial(Empty(), expected=Empty(), size=SIZE)

    assert (found.verdict, found.tensors) == ("unknown", ())
    assert render_initial(found).splitlines()[-1] == "could not tell: of 0 tensors nothing was compared"


class Raises(Plain):
    """It raises before its head."""

    def forward(self, x):
        """Raises."""
        return self.fc(self.conv(x))


def test_a_candidate_that_raises():
    """What has names is compared by them; what lies behind a crash and has none is missing, and a note says so."""
    torch.manual_seed(0)
    by_names = layerdiff.compare_initial(Raises(), expected=Plain(), size=SIZE)

    class Cut(Renamed):
        def forward(self, x):
            return self.head(torch.conv2d(x, self.k.permute(3, 2, 0, 1)))

    cut = layerdiff.compare_initial(Cut(), expected=Plain(), size=SIZE)

    assert by_names.verdict == "same"
    assert cut.verdict == "different"
    assert "the candidate raises at head: what lies behind it has no partner" in cut.notes


@pytest.mark.parametrize(
    ("actual", "expected", "line"),
    [
        ("run.npz", "torchvision:resnet18", "actual: run.npz is no network that can be built anew, got a saved one"),
        (
            "torch",
            "run.onnx",
            "expected: run.onnx is no network that can be built anew, got a saved one, expected code",
        ),
        ("torch", "torchvision:resnet51", "architecture: no such network, got 'resnet51'"),
        ("torch", Raises(), r"expected: Raises raises on an input of \(1, 3, 16, 16\), got RuntimeError at fc: "),
    ],
    ids=["trace", "onnx", "architecture", "raises"],
)
def test_what_cannot_be_used(actual, expected, line):
    """Input that cannot be used is refused with a line that names the place."""
    with pytest.raises(layerdiff.InputError, match=line):
        layerdiff.compare_initial(actual, expected=expected, size=SIZE)


def test_the_json_has_all_of_it():
    """Every tensor with its figures, the causes and the verdict, and the same bytes for the same networks."""
    found, again = judged(_normal), judged(_normal)
    read = json.loads(initial_to_json(found))

    assert initial_to_json(found) == initial_to_json(again)
    assert (read["schema"], read["verdict"], read["findings"][0]["code"]) == (1, "different", "J3")
    assert [one["name"] for one in read["tensors"]] == [one.name for one in found.tensors]
    assert read["tensors"][0]["actual"]["std"] == found.tensors[0].actual.std
    assert read["tensors"][0]["drawn"] == "kaiming_normal(fan_out)"


def _normal(network):
    for weight in kernels(network):
        nn.init.normal_(weight, 0, 0.01)


@pytest.mark.parametrize("width", range(60, 81))
def test_words_for_signs_keep_the_width(width):
    """In ASCII, where a root takes more columns, no line of text is longer than asked for."""

    def default(network):
        for conv in (module for module in network.modules() if isinstance(module, nn.Conv2d)):
            conv.reset_parameters()

    text = render_initial(judged(default), width=width, ascii_only=True)
    said = text.partition("*  ")[2].splitlines()

    assert "sqrt 5" in text
    assert max(map(len, said)) <= width


@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_text_keeps_80_columns(ascii_only):
    """Faults first, then what is alike by use, the cause and the answer last, in 80 columns, in ASCII if need be."""
    text = render_initial(judged(_normal), ascii_only=ascii_only)
    lines = text.splitlines()

    assert max(map(len, lines)) <= 80
    assert text.isascii() is ascii_only
    at = [
        next(i for i, line in enumerate(lines) if line.startswith(head))
        for head in (
            "expected  ",
            "  tensor",
            "x conv1" if ascii_only else "✗ conv1",
            "* " if ascii_only else "· ",
            "cause     J3",
        )
    ]
    assert at == sorted(at)
    assert lines[-1] == "different: of 32 tensors 6 begin otherwise, 26 as expected"


def test_one_line_for_each_finding():
    """`concise`: each tensor that is not the same, each cause with its code, then the answer."""
    lines = render_initial_concise(judged(_normal)).splitlines()

    assert len(lines) == 6 + 1 + 1
    assert lines[0].startswith("Small: conv1.weight: different: std 0.0")
    assert "conv1.weight, " in lines[6]
    assert ": J3 the convolutions' weights are drawn by normal(std=0.01), expected " in lines[6]
    assert lines[7] == "Small: different: of 32 tensors 6 begin otherwise, 26 as expected"
