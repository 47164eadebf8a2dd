"""What is known of torch's own operations, and what is spared because of it; no difference may hide there."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from layerdiff.compare.capture import capture
from layerdiff.compare.check import compare_networks
from layerdiff.compare.native import is_native_function, is_native_module
from layerdiff.compare.pairs import Pair
from layerdiff.compare.playback import run, run_and_watch
from layerdiff.compare.probe import probe_shape

X = np.random.default_rng(0).standard_normal((1, 3, 97, 70)).astype(np.float32)


def conv(**options):
    """A convolution of torch's own."""
    return nn.Conv2d(3, 4, 3, 2, 1, **options).eval().requires_grad_(False)


class _Own(nn.Conv2d):
    pass


def _hooked():
    module = conv()
    module.register_forward_hook(lambda *_: None)
    return module


def _patched():
    module = conv()
    module.forward = lambda x: x
    return module


def _inside_patched():
    module = conv()
    module._conv_forward = lambda x, weight, bias: x
    return module


class _Tensor(torch.Tensor):
    pass


def _other_tensor():
    module = conv()
    module.weight = nn.Parameter(module.weight.detach().as_subclass(_Tensor), requires_grad=False)
    return module


def test_torchs_own_layers_are_known():
    """Every layer of torchvision's ResNet in eval mode is torch's own code, also where it works in place."""
    from torchvision.models import resnet18

    assert all(op.native for op in capture(resnet18().eval(), X).ops)
    assert is_native_function(torch.relu, {})


@pytest.mark.parametrize(
    "make",
    [
        lambda: _Own(3, 4, 3).eval(), _hooked, _patched, _inside_patched, _other_tensor,
        lambda: parametrizations.weight_norm(conv()), lambda: nn.BatchNorm2d(3).train(), lambda: nn.Dropout().train(),
        nn.GELU,
    ],
    ids=["inherited", "hooked", "forward", "inside", "tensor", "parametrized", "training", "dropout", "unknown"],
)  # fmt: skip
def test_what_is_not_torchs_own_code_alone_is_watched(make):
    """A class of one's own, a hook, a method replaced, another kind of tensor, training mode: nothing is known."""
    assert is_native_module(conv())
    assert not is_native_module(make())


def test_a_class_whose_method_was_replaced_is_not_torchs_own(monkeypatch):
    """Somebody's `nn.Conv2d.forward = ...` is somebody's code."""
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: x)

    assert not is_native_module(conv())


def test_a_function_that_writes_into_what_it_is_given_is_not_known():
    """`out=` makes a function write into an array of its caller's, and a function of one's own may do anything."""
    assert not is_native_function(torch.add, {"out": torch.zeros(1)})
    assert not is_native_function(lambda x: x, {})


def test_an_operation_in_place_gets_copies():
    """Torch's own ReLU in place changes a copy, not what others will read."""
    op = capture(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)).eval().requires_grad_(False), X).ops[1]
    x = np.full((1, 4, 3, 3), -1.0, np.float32)

    assert op.native
    assert op.in_place
    assert (run(op, (x,)) == 0).all()
    assert (run_and_watch(op, (x,))[0] == 0).all()
    assert (x == -1).all()


def ops_of(*modules):
    """The first operation of each."""
    return [capture(module.eval().requires_grad_(False), X).ops[0] for module in modules]


def test_the_same_operation_of_torchs_own_gets_a_small_map_with_the_same_border():
    """It keeps the remainder by the stride, room for some windows, the channels and the batch."""
    a, b = ops_of(conv(), conv())
    pool, again = ops_of(nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1))

    for pair in (Pair((a,), (b,)), Pair((pool,), (again,))):
        assert probe_shape(pair, (2, 3, 97, 70), "usual") == (2, 3, 11, 12)
        assert probe_shape(pair, (2, 3, 10, 5), "usual") == (2, 3, 10, 5)


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: Pair((a,), (replace(b, native=False),)),
        lambda a, b: Pair((replace(a, native=False),), (b,)),
        lambda a, b: Pair((a,), (replace(b, attributes={**b.attributes, "stride": (1, 1)}),)),
        lambda a, b: Pair((a,), (replace(b, parameters={"weight": b.parameters["weight"]}),)),
        lambda a, b: Pair((a,), (b, b)),
        lambda a, b: Pair((a, a), (b,)),
        lambda a, b: Pair((a,), (replace(b, inputs=("input", "input")),)),
    ],
    ids=["candidate's own", "reference's own", "stride", "bias", "chain", "group", "inputs"],
)
def test_everything_else_gets_the_real_shape(make):
    """What somebody wrote, or what differs in any attribute, may treat a place by where it is."""
    a, b = ops_of(conv(), conv())

    assert probe_shape(make(a, b), (2, 3, 97, 70), "usual") == (2, 3, 97, 70)


class _Corner(nn.Conv2d):
    """Adds what lies in one channel at one place far from the origin."""

    def forward(self, x):
        y = super().forward(x)
        if x.shape[2] > 13 and x.shape[3] > 12:
            y[:, :, 13, 12] += x[:, 5:6, 13, 12]
        return y


def test_a_difference_at_one_place_of_the_map_is_seen_on_the_dense_probe(make_resnet):
    """A layer of one's own that differs at one place, in a channel that is dead here, is at fault."""
    expected = make_resnet()
    with torch.no_grad():
        expected.layer1[0].bn1.weight[5], expected.layer1[0].bn1.bias[5] = 0.0, -1.0
    actual = copy.deepcopy(expected)
    corner = _Corner(64, 64, 3, 1, 1, bias=False)
    corner.load_state_dict(expected.layer1[0].conv2.state_dict())
    type(corner).__name__ = "Conv2d"
    actual.layer1[0].conv2 = corner.eval().requires_grad_(False)

    report = compare_networks(expected, actual, X)

    faults = [layer.layer for layer in report.layers if layer.status == "fault"]
    assert (report.verdict, faults) == ("different", ["layer1.0.conv2"])


@pytest.mark.parametrize(("i", "j"), [(0, 0), (0, 2), (1, 1), (2, 0), (2, 2)])
def test_every_weight_of_a_kernel_shows_on_the_small_map(make_resnet, i, j):
    """A weight changed in a dead channel, at any corner of a kernel with a stride, is found on the small map."""
    expected = make_resnet()
    with torch.no_grad():
        expected.layer1[1].conv2.weight[9] = 0.0
        expected.layer1[1].bn2.weight[9], expected.layer1[1].bn2.bias[9] = 0.0, -100.0
    actual = copy.deepcopy(expected)
    actual.layer2[0].conv1.weight.data[3, 9, i, j] += 0.01

    report = compare_networks(expected, actual, X)

    assert [layer.layer for layer in report.layers if layer.status == "fault"] == ["layer2.0.conv1"]
