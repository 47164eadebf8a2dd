"""The ledger as text: 80 columns, no number cut, and nothing that the ledger does not say."""

# ruff: noqa: D101, D102 - networks of a few lines, whose methods are torch's

from __future__ import annotations

import re

import pytest
from torch import nn

from layerdiff.compare.costs import Cost
from layerdiff.compare.ledger import ledger_of
from layerdiff.compare.render.shapes import render_shapes
from layerdiff.compare.structure import structure_of
from layerdiff.reference.architectures import blank_network

SHAPE = (1, 3, 64, 64)


def made(change=None, *, name="resnet18", shape=SHAPE):
    """The ledger of a torchvision network and a copy of it that `change` breaks."""
    # With memory behind it: an error is provoked again on real tensors.
    actual = blank_network(name).to_empty(device="cpu").eval()
    if change is not None:
        change(actual)
    return ledger_of(
        structure_of(blank_network(name).eval(), shape, name=f"torchvision {name}"),
        structure_of(actual, shape, name="net.py:build"),
    )


def lost_stride(network):
    """Layer 3 keeps the size of its map."""
    network.layer3[0].conv1.stride = network.layer3[0].downsample[0].stride = (1, 1)


def no_projection(network):
    """The addition of layer2.0 raises."""
    network.layer2[0].downsample = None


def nothing(network):
    """All is as expected."""


class Wrapped(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.a_wrapper_with_quite_a_long_name = nn.Sequential(network)

    def forward(self, x):
        return self.a_wrapper_with_quite_a_long_name(x)


CHANGES = [nothing, lost_stride, no_projection]


@pytest.mark.parametrize("every_layer", [False, True], ids=["folded", "all"])
@pytest.mark.parametrize("name", ["resnet50", "wide_resnet50_2"])
@pytest.mark.parametrize("change", CHANGES)
def test_it_reads_at_80_columns(change, name, every_layer):
    """No line is longer than 80 columns, at the size and depth people use."""
    text = render_shapes(made(change, name=name, shape=(1, 3, 224, 224)), width=80, every_layer=every_layer)

    # A path that is longer cannot be broken.
    assert [line for line in text.splitlines() if len(line) > 80 and "/" not in line] == []


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("change", CHANGES)
def test_no_number_is_cut(change, width):
    """At any width every shape of the rows shown and every total stands there whole."""
    ledger = made(change)
    text = render_shapes(ledger, width=width, every_layer=True)
    words = set(text.split())

    for row in ledger.rows:
        if row.expected is not None:
            assert ",".join(map(str, row.expected.shape)) in words
        if row.actual is not None and row.actual.shape is not None:
            assert ",".join(map(str, row.actual.shape)) in words
    for totals in (ledger.expected_totals, ledger.actual_totals):
        assert {f"{n:,}" for n in (totals.parameters, totals.buffers, totals.macs, totals.flops)} <= words


def test_an_agreement_folds_by_stage():
    """A network that agrees is six lines, whose parameters and multiply-adds add up to the totals."""
    ledger = made()
    lines = render_shapes(ledger, width=100).splitlines()
    folded = [line for line in lines if line.startswith("⋮")]

    assert [re.search(r"⋮ (\S+): (\d+) agree", line).groups() for line in folded] == [
        ("conv1…maxpool", "4"),
        ("layer1", "14"),
        ("layer2", "16"),
        ("layer3", "16"),
        ("layer4", "16"),
        ("avgpool…fc", "3"),
    ]
    numbers = [[int(word.replace(",", "")) for word in line.split()[-2:]] for line in folded]
    totals = ledger.expected_totals
    assert [sum(column) for column in zip(*numbers, strict=True)] == [totals.parameters, totals.macs]
    assert lines[-1].startswith("same: 69 of 69 layers have the expected shapes")


def test_rows_that_differ_are_marked_and_those_behind_them_folded():
    """The layers at which shapes part stand alone, what follows from them is folded, the answer is last."""
    text = render_shapes(made(lost_stride), width=100)

    assert re.search(r"^✗ layer3\.0\.conv1 +conv2d +1,256,4,4 +1,256,8,8 +294,912", text, re.MULTILINE)
    assert re.search(r"^✗ layer3\.0\.downsample\.0 ", text, re.MULTILINE)
    assert re.search(r"^⋮ layer4: 16 follow +1,512,2,2 +1,512,4,4", text, re.MULTILINE)
    assert "agrees    up to layer2.1.relu_1, 1,128,8,8" in text
    assert "parts     at layer3.0.conv1, 1,256,4,4 expected, got 1,256,8,8" in text
    assert "change    give layer3.0.conv1 stride=2" in text
    assert text.splitlines()[-1] == "different: 2 differ, 30 follow, 37 agree"


def test_a_crash_is_told_from_the_table_to_the_change():
    """A crash: the table up to it, what was raised, why, where, and what to change, in this order."""
    text = render_shapes(made(no_projection), width=100)
    places = [
        text.index(part)
        for part in (
            "- layer2.0.downsample.0",
            "! layer2.0.add",
            "⋮ 43 not reached",
            "raised    layer2.0.add: RuntimeError: The size of tensor a (8) must match",
            "agrees    up to layer2.0.bn2",
            "because   M7: the shortcut is not projected: layer2.0.add adds 64 channels to 128",
            "sum       64 ≠ 128 = 64·2",
            "where     ",
            "change    give the block a projection: nn.Conv2d(64, 128, kernel_size=1, stride=2",
            "different: it raised at layer2.0.add, 2 are missing, 43 not reached",
        )
    ]

    assert places == sorted(places)
    assert "out += identity" in text
    assert "those up to where it raised" in text


def test_ascii():
    """Without signs beyond ASCII everything is still there, and the marks too."""
    for change in CHANGES:
        assert render_shapes(made(change), ascii_only=True).isascii()
    assert "\nx layer3.0.conv1" in render_shapes(made(lost_stride), ascii_only=True)
    assert "floor((8 + 2*1 - 3)/2) + 1 = 4" in render_shapes(made(lost_stride), ascii_only=True)


def test_all_rows():
    """--all shows every layer, and says nothing else."""
    folded, whole = (render_shapes(made(lost_stride), width=100, every_layer=all_) for all_ in (False, True))

    assert len(re.findall(r"^. layer\d\.\d\.\w", whole, re.MULTILINE)) == 62
    assert "⋮" not in whole
    assert re.search(r"^↓ layer4\.1\.relu_1 ", whole, re.MULTILINE)
    assert folded.partition("\n\n")[2].partition("\n\n")[2] == whole.partition("\n\n")[2].partition("\n\n")[2]


def test_one_network_alone():
    """One network's table: a row for each layer, its costs, and its totals; no answer, for nothing was asked."""
    text = render_shapes(ledger_of(structure_of(blank_network("resnet50").eval(), (1, 3, 224, 224))), width=80)

    assert re.search(r"^conv1 +conv2d +1,64,112,112 +9,408 +118,013,952$", text, re.MULTILINE)
    assert re.search(r"^fc +linear +1,1000 +2,049,000 +2,048,000$", text, re.MULTILINE)
    assert re.search(r"^parameters +25,557,032$", text, re.MULTILINE)
    assert re.search(r"^multiply-adds +4,089,184,256$", text, re.MULTILINE)
    assert re.search(r"^FLOPs +8,178,368,512$", text, re.MULTILINE)
    assert "one multiply-add is two FLOPs" in " ".join(text.split())
    assert "same" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_other_names_are_shown_where_there_is_room():
    """The candidate's own ids stand in a column of their own on a wide terminal, and for the row that parts always."""
    wrapped = blank_network("resnet18").eval()
    lost_stride(wrapped)
    ledger = ledger_of(
        structure_of(blank_network("resnet18").eval(), SHAPE), structure_of(Wrapped(wrapped).eval(), SHAPE)
    )

    name = "a_wrapper_with_quite_a_long_name.0.layer3.0.conv1"
    assert re.search(rf"^✗ layer3\.0\.conv1 +{re.escape(name)} ", render_shapes(ledger, width=160), re.MULTILINE)
    assert f"({name})" in " ".join(render_shapes(ledger, width=80).split())


def test_notes_are_said_once():
    """A note that is the same for twenty layers is one line."""

    def biased(network):
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.bias = nn.Parameter(module.weight.new_zeros(module.out_channels))

    ledger = made(biased)
    notes = [line for line in render_shapes(ledger).splitlines() if "bias: got" in line]

    assert notes == ["note: conv1 and 19 more: bias: got (64,), expected none"]
    assert ledger.verdict == "same"
    assert sum((row.actual.cost for row in ledger.rows), Cost()).parameters == ledger.actual_totals.parameters


def test_what_no_row_shows_is_said():
    """Parameters that were never used, and tensors held under two names, are said beside the totals."""
    network = blank_network("resnet18").eval()
    network.old_head = nn.Linear(512, 3, device="meta")
    structure = structure_of(network, SHAPE)
    text = render_shapes(ledger_of(structure_of(blank_network("resnet18").eval(), SHAPE), structure))

    assert "1,539 parameters took no part in the forward pass: old_head.weight, old_head.bias" in " ".join(text.split())
