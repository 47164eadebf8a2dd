"""Whole networks, broken on purpose: the cause is named, undone and proven, one fault or several."""

from __future__ import annotations

import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import resnet18

from layerdiff import load_weights, torchvision_model
from layerdiff.compare.capture import capture
from layerdiff.compare.check import compare_networks


def told(report):
    """Each finding as (code, layers), those that are not confirmed with a question mark."""
    return [(one.code + ("" if one.confirmed else "?"), one.layers) for one in report.findings]


def block(network, name, forward):
    """Gives the block `name` another forward pass."""
    module = network.get_submodule(name)
    module.forward = types.MethodType(forward, module)
    return network


def branch(self, x):
    """The two convolutions of a basic block."""
    return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))


def shortcut(self, x):
    """Its shortcut."""
    return x if self.downsample is None else self.downsample(x)


def no_shortcut(self, x):
    """A block without its shortcut."""
    return self.relu(branch(self, x))


def twice(self, x):
    """Its shortcut twice."""
    return self.relu(branch(self, x) + 2 * shortcut(self, x))


def no_relu(self, x):
    """Without the last ReLU."""
    return branch(self, x) + shortcut(self, x)


def relu_before(self, x):
    """The last ReLU before the addition."""
    return self.relu(branch(self, x)) + shortcut(self, x)


def two_relus(self, x):
    """A ReLU before the addition as well."""
    return self.relu(self.relu(branch(self, x)) + shortcut(self, x))


def norm_last(self, x):
    """ReLU before the batch norm."""
    out = self.bn1(self.relu(self.conv1(x)))
    return self.relu(self.bn2(self.conv2(out)) + shortcut(self, x))


def linear_block(self, x):
    """No ReLU inside."""
    return self.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))) + shortcut(self, x))


def late_shortcut(self, x):
    """The shortcut taken behind the first ReLU."""
    out = self.relu(self.bn1(self.conv1(x)))
    return self.relu(self.bn2(self.conv2(out)) + out)


def bare_projection(self, x):
    """A projection without batch norm."""
    return self.relu(branch(self, x) + self.downsample[0](x))


def option_a(self, x):
    """Zeros in the place of the projection."""
    side = x[:, :, ::2, ::2]
    side = functional.pad(side, (0, 0, 0, 0, 0, x.shape[1]))
    return self.relu(branch(self, x) + side)


@pytest.mark.parametrize(
    ("name", "forward", "expected"),
    [
        ("layer1.0", no_shortcut, [("A5", ("layer1.0.add",))]),
        ("layer2.0", no_shortcut, [("A5", ("layer2.0.downsample.0", "layer2.0.downsample.1", "layer2.0.add"))]),
        ("layer3.1", no_relu, [("E2", ("layer3.1.relu_1",))]),
        ("layer1.1", relu_before, [("E2", ("layer1.1.add", "layer1.1.relu_1"))]),
        ("layer4.0", two_relus, [("E3", ("layer4.0.add",))]),
        ("layer2.1", norm_last, [("E4", ("layer2.1.bn1", "layer2.1.relu"))]),
        ("layer4.1", linear_block, [("E1", ("layer4.1.relu",))]),
        ("layer1.0", late_shortcut, [("A6", ("layer1.0.add",))]),
        ("layer3.0", bare_projection, [("A7", ("layer3.0.downsample.1",))]),
        ("layer4.0", option_a, [("A8", ("layer4.0.downsample.0", "layer4.0.downsample.1"))]),
    ],
    ids=["A5", "A5-projected", "E2", "E2-moved", "E3", "E4", "E1", "A6", "A7", "A8"],
)
def test_what_is_done_to_a_block_is_named_and_undone(make_resnet, x, name, forward, expected):
    """One block wired otherwise: one finding, confirmed, at exactly its layers, and nothing is left."""
    report = compare_networks(make_resnet(), block(make_resnet(), name, forward), x)

    assert told(report) == expected
    assert report.repaired == "every layer agrees, to the bit"


def test_a_block_too_few_and_one_too_many_are_blocks(make_resnet, x):
    """A block that is missing, or one too many, is one finding with all its layers."""
    fewer, more = make_resnet(), make_resnet()
    fewer.layer3 = nn.Sequential(fewer.layer3[0])
    more.layer3 = nn.Sequential(*more.layer3, make_resnet().layer3[1])

    (less,) = compare_networks(make_resnet(), fewer, x).findings
    (extra,) = compare_networks(make_resnet(), more, x).findings

    assert (less.code, less.confirmed) == ("A4", True)
    assert less.title == "a block too few: the reference's layer3.1 has no counterpart"
    assert less.layers == tuple(
        f"layer3.1.{layer}" for layer in ("conv1", "bn1", "relu", "conv2", "bn2", "add", "relu_1")
    )
    assert (extra.code, extra.confirmed) == ("A4", True)


def test_a_stride_in_another_place_is_one_finding_and_a_missing_one_another(make_resnet, x):
    """Moved inside its block it is A2, a convention; missing in the block it is A3."""
    moved, lost = make_resnet(), make_resnet()
    for name in ("layer2", "layer4"):
        one = moved.get_submodule(name)[0]
        one.conv1.stride, one.conv2.stride = (1, 1), (2, 2)
    lost.layer3[0].conv1.stride = (1, 1)
    lost.layer3[0].downsample[0].stride = (1, 1)

    (one,) = compare_networks(make_resnet(), moved, x).findings
    found = compare_networks(make_resnet(), lost, x)

    assert (one.code, one.convention, one.confirmed) == ("A2", True, True)
    assert one.layers == ("layer2.0.conv1", "layer2.0.conv2", "layer4.0.conv1", "layer4.0.conv2")
    assert told(found) == [("A3", ("layer3.0.conv1", "layer3.0.downsample.0"))]


def test_one_mistake_in_many_layers_is_one_finding(make_resnet, x):
    """Every batch norm with another eps: one finding, twenty layers, the solved value in its title."""
    actual = make_resnet()
    for module in actual.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1.1e-3

    (one,) = compare_networks(make_resnet(), actual, x).findings

    assert (one.code, one.title, one.confirmed) == ("C1", "eps is 0.0011, expected 1e-05", True)
    assert len(one.layers) == 20
    assert one.how == "run again with eps=1e-05"


def test_compound_faults_all_come_out(make_resnet, x):
    """Padding as TensorFlow's, its eps, and a bias before the batch norm (B1, C1, B8) are found in one run."""
    actual = make_resnet()
    actual.layer2[0].conv1 = _Same(actual.layer2[0].conv1)
    actual.layer2[0].bn1.eps = 1e-3
    conv = actual.layer3[1].conv2
    conv.bias = nn.Parameter(torch.linspace(-1, 1, conv.out_channels), requires_grad=False)
    image = np.random.default_rng(0).standard_normal((1, 3, 64, 96)).astype(np.float32)

    report = compare_networks(make_resnet(), actual, image)

    assert told(report) == [("B1", ("layer2.0.conv1",)), ("C1", ("layer2.0.bn1",)), ("B8", ("layer3.1.conv2",))]
    assert report.repaired.startswith("every layer agrees")


def test_another_shortcut_and_nothing_loaded(x):
    """A8 with G1: option A on a shortcut, and weights that were never loaded, both come out."""
    torch.manual_seed(0)
    fresh = resnet18().eval().requires_grad_(False)
    block(fresh, "layer2.0", option_a)

    expected = torchvision_model("resnet18", load_weights("synthetic", "resnet18"))
    report = compare_networks(expected, fresh, x)

    assert {code for code, _ in told(report)} == {"A8", "G1"}
    (nothing,) = [one for one in report.findings if one.code == "G1"]
    assert {"conv1", "bn1", "layer4.1.conv2", "fc"} <= set(nothing.layers)
    assert report.repaired.startswith("every layer agrees")


def test_it_says_what_it_is_doing(make_resnet, x):
    """The diagnosis tells its caller each step: looking, what is tried at which layer, and the last judgement."""
    from layerdiff.compare.check import compare_with

    broken, said = make_resnet(), []
    broken.layer1[0].bn2.eps = 1e-3
    compare_with(capture(make_resnet(), x), broken, x, on_step=said.append)

    assert said[0] == "looking at every layer"
    assert any(what.startswith("layer1.0.bn2: ") for what in said)
    assert said[-1] == "the candidate with all of that undone"


class _Same(nn.Module):
    """A convolution that pads as TensorFlow does."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return functional.conv2d(functional.pad(x, (0, 1, 0, 1)), self.conv.weight, stride=2)


def test_two_mistakes_in_one_layer_are_two_findings(make_resnet, x):
    """A batch norm with another eps and another layer's weight: both are named."""
    actual = make_resnet()
    norm = actual.layer1[0].bn1
    norm.eps = 1e-3
    norm.weight.data.copy_(actual.layer1[1].bn2.weight)

    report = compare_networks(make_resnet(), actual, x)

    assert {code for code, _ in told(report)} == {"C1", "G3"}
    assert all(one.confirmed for one in report.findings)


def test_what_one_fault_hides_comes_out_once_it_is_undone(make_resnet, x):
    """E1 un-masks D1: without the stem's ReLU a max-pool that pads with zeros is wrong too."""
    actual = make_resnet()
    actual.relu = nn.Identity()
    actual.maxpool = _ZeroPadded()

    report = compare_networks(make_resnet(), actual, x)

    assert ("E1", ("relu",)) in told(report)
    assert all(one.confirmed for one in report.findings)
    assert {one.code for one in report.findings} <= {"E1", "D1"}
    assert report.repaired.startswith("every layer agrees")


class _ZeroPadded(nn.Module):
    """A max-pool that pads with zeros."""

    def forward(self, x):
        return functional.max_pool2d(functional.pad(x, (1, 1, 1, 1)), 3, 2)


def test_what_nothing_explains_is_called_unexplained(make_resnet, x):
    """A layer that does something nobody thought of: its place, the nearest hypotheses, and no cause."""

    class Odd(nn.Conv2d):
        def forward(self, x):
            out = super().forward(x)
            return out + 0.01 * torch.sin(7 * out).flip(1)

    actual = make_resnet()
    conv = Odd(128, 128, 3, padding=1, bias=False)
    conv.load_state_dict(actual.layer2[1].conv1.state_dict())
    actual.layer2[1].conv1 = conv.eval()

    report = compare_networks(make_resnet(), actual, x)

    (one,) = report.findings
    assert (one.code, one.confirmed, one.layers) == ("U1", False, ("layer2.1.conv1",))
    assert one.title == "unexplained at layer2.1.conv1"
    assert len([line for line in one.evidence if line.startswith("nearest: ")]) == 2
    assert report.repaired == ""


def test_another_network_is_not_explained_away(make_resnet, x):
    """Where next to nothing has a counterpart, that is said, and no single difference is called a cause."""
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 63 * 47, 1000)).eval()

    (one,) = compare_networks(make_resnet(), other, x).findings

    assert (one.code, one.confirmed) == ("U1", False)
    assert "operations have no counterpart" in one.title


def test_a_right_network_has_no_findings_and_none_are_looked_for_on_request(make_resnet, x):
    """No difference, no finding; and with `diagnose=False` none even where there is one."""
    broken = make_resnet()
    broken.bn1.eps = 1e-3

    assert compare_networks(make_resnet(), make_resnet(), x).findings == ()
    report = compare_networks(make_resnet(), broken, x, diagnose=False)
    assert (report.verdict, report.findings, report.repaired) == ("different", (), "")


def test_one_object_in_many_places_and_layers_nobody_registered(make_resnet, x):
    """Wrong weights whose reason shows beside other layers: A12 where they are shared, A13 outside state dicts."""
    shared, hidden = make_resnet(), make_resnet()
    shared.layer1 = nn.Sequential(shared.layer1[0], shared.layer1[0])
    fresh = nn.Conv2d(256, 512, 3, 2, 1, bias=False)
    del hidden.layer4[0].conv1
    object.__setattr__(hidden.layer4[0], "conv1", fresh)

    assert {one.code for one in compare_networks(make_resnet(), shared, x).findings} == {"A12"}
    (one,) = compare_networks(make_resnet(), hidden, x).findings
    assert (one.code, one.layers, one.confirmed) == ("A13", ("layer4.0.conv1",), True)


def test_training_mode_is_named(make_resnet, x):
    """A network in training mode: one finding, K1, for every batch norm."""
    (one,) = compare_networks(make_resnet(), make_resnet().train(), x).findings

    assert (one.code, one.confirmed, len(one.layers)) == ("K1", True, 20)


def test_a_crash_is_explained_by_its_shapes_and_what_ran_before_it_is_looked_at(make_resnet, x):
    """What raised is named by its code, not confirmed; a fault before it is found, and confirmed."""
    actual = make_resnet()
    actual.bn1.eps = 1e-3
    actual.fc = nn.Linear(7, 1000)

    report = compare_networks(make_resnet(), actual.eval(), x)

    assert ("C1", ("bn1",)) in told(report)
    assert ("M3?", ("fc",)) in told(report)


@pytest.mark.parametrize("kind", ["module", "function"])
def test_an_operation_runs_again_with_a_setting_exchanged(kind):
    """`Op.vary` runs the network's own code with another setting or parameter, and leaves the network as it is."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

        def forward(self, x):
            if kind == "module":
                return self.conv(x)
            return functional.conv2d(x, self.conv.weight, self.conv.bias, 2, padding=1)

    network = Net().eval()
    image = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    (op,) = capture(network, image).ops
    weight = np.ones((4, 3, 3, 3), np.float32)

    again = op.vary({"stride": (1, 1)}, {"weight": weight})(image)
    with torch.no_grad():
        wanted = functional.conv2d(torch.from_numpy(image), torch.from_numpy(weight), network.conv.bias, 1, 1)

    assert np.array_equal(again, wanted.numpy())
    assert op.vary({"no_such_setting": 1}, {}) is None
    assert network.conv.stride == (2, 2)
    assert not np.array_equal(network.conv.weight.detach().numpy(), weight)
