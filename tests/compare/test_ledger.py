"""The ledger: rows, what is missing and extra, how far a candidate came, and the verdict."""

# ruff: noqa: D102 - networks of a few lines, whose methods are torch's

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from layerdiff.compare.costs import other_names
from layerdiff.compare.ledger import ledger_of, ledger_to_json
from layerdiff.compare.reached import crashed_op, reached
from layerdiff.compare.structure import structure_of
from layerdiff.errors import InputError
from layerdiff.reference.architectures import blank_network

SHAPE = (1, 3, 33, 49)


@pytest.fixture
def ledger(make_resnet):
    """The ledger of torchvision's ResNet-18 and a broken copy of it."""

    def make(change=None, *, shape=SHAPE, network=None):
        actual = network if network is not None else make_resnet()
        if change is not None:
            change(actual)
        expected = structure_of(make_resnet(), shape)
        return ledger_of(expected, structure_of(actual, shape), shared=other_names(actual))

    return make


def statuses(found):
    """The rows that are not same, by the expected layer or else the candidate's."""
    return {(row.expected or row.actual).layers[-1]: row.status for row in found.rows if row.status != "same"}


def test_a_copy_agrees(ledger):
    """Every layer of a copy is same, with the same costs, and the verdict says so."""
    found = ledger()

    assert found.verdict == "same"
    assert [row.status for row in found.rows] == ["same"] * 69
    assert all(row.expected.cost == row.actual.cost for row in found.rows)
    assert found.expected_totals == found.actual_totals
    assert (found.first_differing, found.last_agreeing) == (None, 68)
    assert (found.crash, found.explanation, found.returns, found.notes) == (None, None, "", ())


def test_a_stride_that_is_lost(ledger):
    """The layer at which shapes part differs; those behind it follow; the explanation has the sum."""

    def change(network):
        network.layer3[0].conv1.stride = (1, 1)
        network.layer3[0].downsample[0].stride = (1, 1)

    found = ledger(change)
    rows = statuses(found)

    assert found.verdict == "different"
    assert [layer for layer, status in rows.items() if status == "differs"] == [
        "layer3.0.conv1",
        "layer3.0.downsample.0",
    ]
    assert rows["layer3.0.bn1"] == rows["layer4.1.relu_1"] == "follows"
    assert "avgpool" not in rows
    assert found.rows[found.first_differing].expected.layers == ("layer3.0.conv1",)
    assert found.rows[found.last_agreeing].expected.layers == ("layer2.1.relu_1",)
    assert found.explanation.change == "give layer3.0.conv1 stride=2"
    assert found.actual_totals.macs > found.expected_totals.macs
    assert found.actual_totals.parameters == found.expected_totals.parameters


class NoPool(nn.Module):
    """A network's parts without the max-pool."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        net = self.network
        x = net.relu(net.bn1(net.conv1(x)))
        x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        return net.fc(torch.flatten(net.avgpool(x), 1))


def test_what_is_missing_and_what_is_extra_stand_in_their_places(ledger, make_resnet):
    """A missing max-pool stands between its neighbours, and so does a dropout at work."""
    network = make_resnet()
    network.layer1[1] = nn.Sequential(network.layer1[1], nn.Dropout(0.5).train())
    found = ledger(network=NoPool(network))
    order = [(row.expected or row.actual).layers[-1] for row in found.rows]

    assert statuses(found)["maxpool"] == "missing"
    assert statuses(found)["network.layer1.1.1"] == "extra"
    assert order.index("relu") + 1 == order.index("maxpool") == order.index("layer1.0.conv1") - 1
    assert order.index("layer1.1.relu_1") + 1 == order.index("network.layer1.1.1") == order.index("layer2.0.conv1") - 1


def test_a_weight_of_another_shape_differs_though_the_output_does_not(ledger):
    """A 5×5 kernel with more padding gives the same shapes; its weight does not have the expected one."""

    def change(network):
        network.layer1[0].conv1 = nn.Conv2d(64, 64, 5, padding=2, bias=False)

    found = ledger(change)

    assert statuses(found) == {"layer1.0.conv1": "differs"}
    row = found.rows[found.first_differing]
    assert row.problems == ("weight: got (64, 64, 5, 5), expected (64, 64, 3, 3)",)
    assert found.verdict == "different"


def test_a_bias_that_is_not_expected_is_a_note(ledger):
    """A bias changes no shape: it is noted, and counted."""

    def change(network):
        network.conv1.bias = nn.Parameter(torch.zeros(64))

    found = ledger(change)

    assert found.verdict == "same"
    assert found.rows[0].notes == ("bias: got (64,), expected none",)
    assert found.actual_totals.parameters == found.expected_totals.parameters + 64


def test_a_norm_without_its_parameters_differs(ledger):
    """A batch norm that lacks weight and bias cannot take the expected ones."""

    def change(network):
        network.bn1 = nn.BatchNorm2d(64, affine=False).eval()

    found = ledger(change)

    assert found.rows[found.first_differing].problems == (
        "weight: got none, expected (64,)",
        "bias: got none, expected (64,)",
    )


class Renamed(nn.Module):
    """A network's parts under other names, the shortcut first."""

    def __init__(self, network):
        super().__init__()
        self.stem = nn.Sequential(network.conv1, network.bn1)
        self.body = nn.ModuleList([*network.layer1, *network.layer2, *network.layer3, *network.layer4])
        self.head = network.fc

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        for block in self.body:
            short = x if block.downsample is None else block.downsample(x)
            out = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))
            x = F.relu(short + out)
        return self.head(x.mean([2, 3]))


def test_other_names_and_another_order(ledger, make_resnet):
    """Names and the order in which both ways of a block run do not matter."""
    found = ledger(network=Renamed(make_resnet()))

    assert found.verdict == "same", statuses(found)
    assert found.rows[4].actual.layers == ("body.0.conv1",)


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
@pytest.mark.parametrize("renamed", [False, True], ids=["own-names", "other-names"])
def test_how_far_a_candidate_came(make_resnet, stage, renamed):
    """A candidate that raises in any stage is aligned with the expected network up to there, and no further."""
    network = make_resnet()
    block = getattr(network, f"layer{stage}")[1]
    channels = block.conv2.in_channels
    block.bn2 = nn.BatchNorm2d(channels + 1).eval()
    network = Renamed(network) if renamed else network

    expected, actual = structure_of(make_resnet(), SHAPE), structure_of(network, SHAPE)
    part = reached(expected.ops, (*actual.ops, *crashed_op(actual.crash)), expected.returned_by)
    found = ledger_of(expected, actual)
    rows = {row.expected.layers[-1]: row.status for row in found.rows}

    assert part[-1].layer == f"layer{stage}.1.bn2"
    assert rows[f"layer{stage}.1.bn2"] == "crashed"
    assert rows[f"layer{stage}.1.conv2"] == "same"
    assert rows["fc"] == rows[f"layer{stage}.1.add"] == "unreached"
    assert set(rows.values()) == {"same", "crashed", "unreached"}
    assert len(found.rows) == 69
    assert found.explanation.code == "M11"
    assert found.rows[found.last_agreeing].expected.layers == (f"layer{stage}.1.conv2",)
    assert found.verdict == "different"


def test_a_way_that_was_still_to_come_is_not_missing(make_resnet):
    """Where the shortcut runs first and raises, the branch is not reached; a shortcut that is not there is missing."""
    network = make_resnet()
    network.layer2[0].downsample[1] = nn.BatchNorm2d(7).eval()
    found = ledger_of(structure_of(make_resnet(), SHAPE), structure_of(Renamed(network), SHAPE))
    rows = {row.expected.layers[-1]: row.status for row in found.rows}
    assert rows["layer2.0.downsample.1"] == "crashed"
    assert rows["layer2.0.conv1"] == rows["layer2.0.bn2"] == "unreached"

    network = make_resnet()
    network.layer2[0].downsample = None
    found = ledger_of(structure_of(make_resnet(), SHAPE), structure_of(network, SHAPE))
    rows = {row.expected.layers[-1]: row.status for row in found.rows}
    assert rows["layer2.0.downsample.0"] == rows["layer2.0.downsample.1"] == "missing"
    assert rows["layer2.0.add"] == "crashed"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (lambda out: (out, out), "a tuple of 2"),
        (lambda out: {"logits": out}, "a dict of 1"),
        (lambda out: None, "nothing (None)"),
        (lambda out: out[:, :10], "(1, 10), expected (1, 1000)"),
    ],
    ids=["tuple", "dict", "none", "fewer"],
)
def test_what_it_returns(ledger, make_resnet, output, words):
    """A candidate that returns something else than the expected tensor is different."""

    class Returns(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, x):
            return output(self.network(x))

    found = ledger(network=Returns(make_resnet()))

    assert words in found.returns
    assert found.verdict == "different"


def test_nothing_seen_is_not_agreement(ledger):
    """A candidate of which no operation on its input is seen is different or unknown, never same."""

    class Constant(nn.Module):
        def forward(self, x):
            return torch.zeros(x.shape[0], 1000)

    assert ledger(network=Constant()).verdict != "same"


def test_notes_on_loading_and_training(ledger):
    """A head with other classes and a sum in place on a ReLU are noted with their patterns."""

    def change(network):
        network.fc = nn.Linear(512, 10)
        network.layer1[0].bn2 = nn.Sequential(network.layer1[0].bn2, nn.ReLU())

    found = ledger(change)

    assert [note.code for note in found.notes] == ["M9", "M17"]
    assert found.notes[1].layer == "layer1.0.add"
    assert any(line.startswith("missing layer1.0.bn2.0.weight") for line in found.notes[0].evidence)


def test_one_network_alone(make_resnet):
    """Without a candidate there is a table of one network, which is no comparison that failed."""
    found = ledger_of(structure_of(make_resnet(), SHAPE))

    assert found.actual is None
    assert found.verdict == "same"
    assert {row.status for row in found.rows} == {"alone"}
    assert found.actual_totals is None


def test_an_expected_network_that_raises_is_refused(make_resnet):
    """Nothing can be compared with a network that raises itself."""
    network = make_resnet()
    network.fc = nn.Linear(5, 5)
    structure = structure_of(network, SHAPE)

    with pytest.raises(InputError, match="raises on an input of") as caught:
        ledger_of(structure, structure)
    assert any("--size" in note for note in caught.value.__notes__)


def test_a_1x1_convolution_may_stand_for_the_linear_layer(ledger, make_resnet):
    """A head that is a 1×1 convolution has the same weight, lying otherwise."""

    class Convolved(Renamed):
        def forward(self, x):
            for part in (self.stem, nn.ReLU(), nn.MaxPool2d(3, 2, 1), *self.body, nn.AdaptiveAvgPool2d(1)):
                x = part(x)
            return self.head(x).flatten(1)

    network = Convolved(make_resnet())
    network.head = nn.Conv2d(512, 1000, 1)
    found = ledger(network=network)

    assert found.verdict == "same", statuses(found)
    assert found.actual_totals.macs == found.expected_totals.macs


FOLDER = Path(__file__).parents[1] / "candidates"


def load(file):
    """The module in a file of the corpus."""
    spec = importlib.util.spec_from_file_location(f"ledger_{file[:-3]}", FOLDER / file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CORPUS = [one for one in load("catalogue.py").CANDIDATES if one.right or one.crash]


@functools.cache
def reference(name, size):
    """The structure of torchvision's network."""
    return structure_of(blank_network(name).eval(), (1, 3, size, size))


@pytest.mark.parametrize("candidate", CORPUS, ids=lambda one: one.file[:-3])
def test_the_corpus(candidate):
    """Right networks in other people's styles have the expected shapes; those that raise are explained by a pattern."""
    made = eval(candidate.call, dict(load(candidate.file).__dict__))
    network = (made if isinstance(made, nn.Module) else made()).eval()
    size = candidate.only_at or 64
    found = ledger_of(reference(candidate.expected, size), structure_of(network, (1, 3, size, size)))

    if candidate.crash:
        assert found.verdict == "different"
        assert found.explanation.code, found.explanation
        assert found.explanation.arithmetic
    else:
        assert found.verdict == "same", statuses(found)


def test_json_is_all_of_it(ledger):
    """The JSON has every row, the totals, the explanation and the verdict, and the same bytes each time."""

    def change(network):
        network.layer2[0].downsample = None

    content = ledger_to_json(ledger(change))
    read = json.loads(content)

    assert content == ledger_to_json(ledger(change))
    assert content.endswith(b"}\n")
    assert len(read["rows"]) == 69
    assert read["verdict"] == "different"
    assert read["explanation"]["code"] == "M7"
    assert read["explanation"]["source"].rpartition(":")[2].isdigit()
    assert read["expected_totals"]["parameters"] == 11_689_512
    assert read["rows"][0]["expected"]["cost"] == {"parameters": 9408, "buffers": 0, "macs": 9408 * 17 * 25}
    assert read["schema"] == 1
