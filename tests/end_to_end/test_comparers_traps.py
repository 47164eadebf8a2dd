"""The mistakes that comparers themselves make, and that are designed out of this one: one test for each."""

from __future__ import annotations

import copy
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from layerdiff import capture, compare_networks, load_weights, torchvision_model
from layerdiff.compare.probe import dense_probe
from layerdiff.compare.result import Measure
from layerdiff.compare.saved import run_to_json


@pytest.fixture(scope="module")
def right():
    """ResNet-18 with synthetic weights."""
    return torchvision_model("resnet18", load_weights("synthetic", "resnet18"))


@pytest.fixture(scope="module")
def x():
    """One small image."""
    return np.random.default_rng(5).standard_normal((1, 3, 64, 64)).astype(np.float32)


def in_place(network):
    """The network with every ReLU in place."""
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True
    return network


def test_l1_a_value_overwritten_in_place_is_still_what_was_compared(right, x):
    """L1: behind a ReLU in place, and an addition in place, the batch norm's own output is recorded, negatives too."""
    trace = capture(in_place(copy.deepcopy(right)), x, keep=True)

    assert (trace.values["bn1"] < 0).any()
    assert (trace.values["layer1.0.bn2"] < 0).any()
    assert not np.array_equal(trace.values["layer1.0.add"], trace.values["layer1.0.bn2"])
    assert compare_networks(right, in_place(copy.deepcopy(right)), x).verdict == "same"


def test_l2_every_call_of_a_module_used_twice_is_a_layer_of_its_own(right, x):
    """L2: torchvision's one ReLU of a block is two layers, and a fault at its second call alone is named there."""
    layers = [op.layer for op in capture(right, x).ops]
    assert layers.count("layer1.0.relu") == layers.count("layer1.0.relu_1") == 1

    def forward(block, x):
        out = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x)))))
        return block.relu(out + x) * 1.01

    actual = copy.deepcopy(right)
    actual.layer1[0].forward = types.MethodType(forward, actual.layer1[0])
    report = compare_networks(right, actual, x)

    assert report.verdict == "different"
    assert {layer.layer for layer in report.layers if layer.status == "fault"} <= {"layer1.0.relu_1"}
    assert not any(layer.layer == "layer1.0.relu" and layer.status != "same" for layer in report.layers)


def test_l3_forward_called_directly_and_functions_are_seen(right, x):
    """L3: `module.forward(x)`, functions and methods run no hooks of a module; they are layers all the same."""

    class Direct(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.net = network

        def forward(self, x):
            net = self.net
            out = functional.relu(net.bn1.forward(net.conv1.forward(x)))
            out = net.maxpool.forward(out)
            for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
                for block in stage:
                    down = block.downsample
                    side = out if down is None else down[1].forward(down[0].forward(out))
                    inner = block.bn1.forward(block.conv1.forward(out)).relu()
                    out = torch.relu(block.bn2.forward(block.conv2.forward(inner)).add(side))
            return net.fc.forward(out.mean([2, 3]))

    assert compare_networks(right, Direct(copy.deepcopy(right)).eval(), x).verdict == "same"
    broken = Direct(copy.deepcopy(right)).eval()
    broken.net.layer3[1].bn1.eps = 1e-2
    report = compare_networks(right, broken, x)
    assert [one.layers for one in report.findings] == [("layer3.1.bn1",)]


def test_l4_what_is_compared_is_paired_by_data_flow_not_by_count(right, x):
    """L4: a candidate whose first operations are others (a cast, a padding apart) is not compared one off."""

    class Shifted(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.net = network
            self.pad = nn.ZeroPad2d(3)
            self.net.conv1.padding = (0, 0)

        def forward(self, x):
            return self.net(self.pad(x.contiguous().clone()))

    report = compare_networks(right, Shifted(copy.deepcopy(right)).eval(), x)

    assert report.verdict == "same"
    assert all(layer.measures for layer in report.layers)


def test_l5_no_verdict_rests_on_relative_errors_or_on_how_memory_lies(right, x):
    """L5: channels-last memory is the same; and errors are measured against an allowance, never relative to a value."""
    actual = copy.deepcopy(right).to(memory_format=torch.channels_last)

    assert compare_networks(right, actual, x).verdict == "same"
    assert not any("rel" in name for name in Measure.__dataclass_fields__)


def test_l6_no_probe_is_constant(right, x):
    """L6: what a layer is probed with has both signs, no zeros, and no two channels alike."""
    probe = dense_probe((1, 64, 16, 16), np.dtype(np.float32), seed=0, layer="layer1.0.bn1")

    assert (probe > 0).any()
    assert (probe < 0).any()
    assert (probe != 0).all()
    assert len({channel.tobytes() for channel in probe[0]}) == 64


def test_nothing_compared_is_never_agreement(right, x):
    """A layer that nothing stands for, and one that gives NaN, are counted, and neither is the same."""
    gone, broken = copy.deepcopy(right), copy.deepcopy(right)
    gone.layer4 = nn.Sequential(gone.layer4[0])
    broken.layer2[0].bn1.running_var[3] = float("nan")

    for actual in (gone, broken):
        report = compare_networks(right, actual, x, diagnose=False)
        assert report.verdict == "different"
        assert sum(layer.status == "same" for layer in report.layers) < len(report.layers)


def test_numbers_that_are_not_finite_are_valid_json(right, x):
    """NaN and infinity are counted, and the run's JSON has neither."""
    from layerdiff.compare.result import Run

    broken = copy.deepcopy(right)
    broken.bn1.running_var[0] = float("nan")
    text = run_to_json(Run({}, (compare_networks(right, broken, x),))).decode()

    assert "NaN" not in text
    assert "Infinity" not in text
