"""Parameters and multiply-adds, exactly, by torchvision's convention."""

# ruff: noqa: D102 - networks of a few lines, whose methods are torch's

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import get_model_weights

from layerdiff.compare.costs import Cost, costs_of, other_names, totals_of
from layerdiff.compare.structure import structure_of
from layerdiff.handwritten import numpy_resnet
from layerdiff.reference.architectures import ARCHITECTURES, blank_network

MACS = {
    "resnet18": 1_814_073_344,
    "resnet34": 3_663_761_408,
    "resnet50": 4_089_184_256,
    "resnet101": 7_801_405_440,
    "resnet152": 11_513_626_624,
    "wide_resnet50_2": 11_398_021_120,
    "resnext50_32x4d": 4_230_479_872,
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_torchvisions_own_figures(name):
    """Parameters are exactly what torchvision publishes; multiply-adds are, to the three digits it publishes."""
    published = next(iter(get_model_weights(name))).meta
    totals = totals_of(structure_of(blank_network(name).eval(), (1, 3, 224, 224)))

    assert totals.parameters == published["num_params"]
    assert round(totals.macs / 1e9, 3) == published["_ops"]
    assert totals.macs == MACS[name]
    assert totals.flops == 2 * totals.macs
    assert (totals.unused, totals.unregistered, totals.shared, totals.uncounted) == ((), 0, (), ())


def test_multiply_adds_grow_with_the_batch():
    """Three images cost three times as much; the parameters do not grow."""
    one, three = (totals_of(structure_of(blank_network("resnet18").eval(), (n, 3, 64, 64))) for n in (1, 3))

    assert three.macs == 3 * one.macs
    assert three.parameters == one.parameters


def test_rows_and_totals_agree():
    """What the operations cost adds up to the totals."""
    structure = structure_of(blank_network("resnet18").eval(), (1, 3, 64, 64))
    totals, costs = totals_of(structure), costs_of(structure)

    assert sum(costs.values(), Cost()) == Cost(totals.parameters, totals.buffers, totals.macs)
    assert costs["conv1"] == Cost(9408, 0, 9408 * 32 * 32)
    assert costs["bn1"] == Cost(128, 128, 0)
    assert costs["fc"] == Cost(513_000, 0, 512_000)
    assert costs["maxpool"] == Cost()


def test_the_numpy_network_costs_the_same():
    """The NumPy twin, whose tensors are known by their arrays, has the same parameters and multiply-adds."""
    shape = (1, 3, 33, 33)
    ours = totals_of(structure_of(numpy_resnet.build("resnet18"), shape))
    theirs = totals_of(structure_of(blank_network("resnet18").eval(), shape))

    assert (ours.parameters, ours.buffers, ours.macs) == (theirs.parameters, theirs.buffers, theirs.macs)
    assert (ours.unused, ours.unregistered) == ((), 0)


class Conv(nn.Module):
    """A convolution whose kernel lies as (h, w, in, out) or as (out, h, w, in)."""

    def __init__(self, layout):
        super().__init__()
        self.layout = layout
        self.kernel = nn.Parameter(torch.randn({"hwio": (3, 3, 4, 6), "ohwi": (6, 3, 3, 4)}[layout]))

    def forward(self, x):
        weight = self.kernel.permute(*{"hwio": (3, 2, 0, 1), "ohwi": (0, 3, 1, 2)}[self.layout])
        columns = F.unfold(x, 3, padding=1)
        return (weight.reshape(6, -1) @ columns).view(x.shape[0], 6, *x.shape[2:])


@pytest.mark.parametrize("layout", ["hwio", "ohwi"])
def test_a_convolution_of_ones_own(layout):
    """Somebody's own convolution costs what torch's does, whichever way its kernel lies."""
    structure = structure_of(nn.Sequential(nn.Conv2d(3, 4, 1), Conv(layout)).eval(), (2, 3, 5, 7))

    assert [op.kind for op in structure.ops] == ["conv2d", "conv2d"]
    assert costs_of(structure)[structure.ops[1].layer] == Cost(6 * 4 * 9, 0, 2 * 5 * 7 * 6 * 4 * 9)


class Reused(nn.Module):
    """One convolution, twice, one more that is never called, and one under two names."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.again = self.conv
        self.forgotten = nn.Conv2d(3, 3, 3)

    def forward(self, x):
        return self.conv(self.again(x))


def test_a_reused_layer_is_counted_once_and_works_twice():
    """A layer that is called twice, under two names, has its parameters once and its multiply-adds each time."""
    network = Reused().eval()
    structure = structure_of(network, (1, 3, 8, 8))
    totals = totals_of(structure, other_names(network))

    assert list(costs_of(structure).values()) == [Cost(9, 0, 9 * 64), Cost(0, 0, 9 * 64)]
    assert totals.macs == 2 * 9 * 64
    assert totals.parameters == 9 + 84
    assert totals.shared == ("again.weight",)
    assert totals.unused == ("forgotten.weight", "forgotten.bias")
    assert totals.unused_parameters == 84


class Unregistered(nn.Module):
    """Its layers lie in a plain list, of which torch knows nothing."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Conv2d(3, 5, 1).eval(), nn.BatchNorm2d(5).eval()]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def test_parameters_that_are_not_registered():
    """Layers in a plain list work, and are counted apart: no state dict has them."""
    network = Unregistered().eval()
    structure = structure_of(network, (1, 3, 8, 8))
    totals = totals_of(structure, other_names(network))

    assert totals.parameters == sum(p.numel() for p in network.parameters()) == 0
    assert totals.unregistered == 15 + 5 + 5 + 5
    assert totals.macs == 15 * 64
    assert costs_of(structure)[structure.ops[1].layer].buffers == 10


def test_groups_and_strides():
    """A grouped convolution with a stride costs what its formula says."""
    network = nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=4).eval()
    structure = structure_of(nn.Sequential(nn.Conv2d(3, 8, 1), network).eval(), (1, 3, 9, 9))

    assert list(costs_of(structure).values())[1] == Cost(12 * 2 * 9 + 12, 0, 5 * 5 * 12 * 2 * 9)


def test_what_the_convention_leaves_out_is_named():
    """A layer with a matrix that is neither a convolution nor linear is named, not silently left out."""
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ConvTranspose2d(8, 4, 2)).eval()
    totals = totals_of(structure_of(network, (1, 3, 8, 8)))

    assert totals.uncounted == ("1",)
    assert totals.macs == 24 * 64
