"""Steps of training compared: what is right is same, by every optimiser, and little that is wrong goes unseen."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from steps_kit import SGD, by, judge, small
from torch import nn

from layerdiff import InputError, compare_networks, trained
from layerdiff.compare.steps.rounding import sway
from layerdiff.compare.steps.torch_mover import TorchMover
from layerdiff.compare.steps.torch_optimisers import OPTIMISERS
from layerdiff.handwritten import numpy_resnet, torch_resnet
from layerdiff.handwritten.optimisers import by_name

SPECS = (
    SGD,
    "sgd:lr=0.1,momentum=0.9,nesterov=true",
    "adam:lr=0.01,weight_decay=0.01",
    "adam:lr=0.01,amsgrad=true",
    "adamw:lr=0.01",
    "adagrad:lr=0.01",
    "rmsprop:lr=0.01,momentum=0.9,centered=true",
    "adadelta:lr=1.0",
)


class Slow(nn.Conv2d):
    """A convolution whose sums are made in another order."""

    def forward(self, x):  # noqa: D102
        patches = nn.functional.unfold(x, self.kernel_size).flip(1)
        y = self.weight.flatten(1).flip(1) @ patches
        y = y.unflatten(2, (x.shape[2] - 2, x.shape[3] - 2))
        return y if self.bias is None else y + self.bias[:, None, None]


def summed_otherwise(network):
    """A right copy that rounds otherwise wherever it convolves."""
    actual = copy.deepcopy(network)
    for place in (0, 3):
        own = actual[place]
        actual[place] = Slow(own.in_channels, own.out_channels, 3, bias=own.bias is not None)
        actual[place].load_state_dict(own.state_dict())
    return actual


@pytest.mark.parametrize("spec", SPECS)
def test_a_right_network_that_rounds_otherwise_is_same(spec):
    """By every optimiser, though the gradient of the first bias is rounding alone, which Adam makes whole steps of."""
    expected = small()

    found = judge(spec=spec, expected=expected, actual=summed_otherwise(expected), count=4)

    assert found.verdict == "same", found.wrong
    assert 0 < found.worst <= 1


@pytest.mark.parametrize("spec", SPECS)
def test_a_right_step_of_ones_own_is_same(spec):
    """Though nobody can look into its optimiser, and so set what it remembers."""
    meant = by_name(spec)
    kind, values = OPTIMISERS[meant.name], dict(meant.values)
    expected = small()

    found = judge(by(lambda p: kind(p, **values)), spec=spec, expected=expected, actual=summed_otherwise(expected))

    assert found.verdict == "same", found.wrong
    assert not any(one.kind == "remembered" for one in found.steps.tensors)


@pytest.mark.parametrize(("spec", "count"), [("sgd:lr=0.01,momentum=0.9", 2), ("adam:lr=0.001", 1)])
def test_both_handwritten_networks_move_as_torchvisions(spec, count):
    """ResNet-18, all tensors after each step: weights, running estimates and what is remembered."""
    from torchvision.models import resnet18

    torch.manual_seed(0)
    expected = resnet18(num_classes=10)
    x = np.random.default_rng(0).standard_normal((2, 3, 33, 33)).astype(np.float32)
    state = {name: tensor.numpy() for name, tensor in expected.state_dict().items()}
    ours = torch_resnet.build("resnet18", num_classes=10)
    ours.load_state_dict(expected.state_dict())
    twin = numpy_resnet.build("resnet18", num_classes=10)
    twin.load_state_dict(state)

    for actual in (ours, twin):
        found = judge(spec=spec, expected=expected, actual=actual, count=count, x=x)
        assert found.verdict == "same", found.wrong
        remembered = {"sgd": 62, "adam": 124}[spec.partition(":")[0]]
        assert len(found.steps.tensors) == 62 + 40 + remembered


@pytest.mark.parametrize("spec", SPECS)
def test_a_change_of_a_millionth_is_seen(spec):
    """The floor is made of rounding: a learning rate that is off by 1e-6 makes every parameter another one."""
    meant = by_name(spec)
    kind, values = OPTIMISERS[meant.name], dict(meant.values)

    found = judge(by(lambda p: kind(p, **values | {"lr": values["lr"] * (1 + 1e-6)})), spec=spec)

    assert found.verdict == "different"
    # The first bias has no gradient but rounding, and where nothing decays it, nothing can be said of it.
    assert found.wrong >= {name for name, _ in small().named_parameters()} - {"0.bias"}
    assert found.findings["J11"].confirmed


def test_a_memory_that_nobody_sees_may_hold_rounding():
    """Once the loss is nearly zero, what rounding made of the first gradients is large beside those of now."""
    expected = small()
    expected[8].weight.data *= 300
    step = by(lambda p: torch.optim.SGD(p, lr=3.0, momentum=0.99))

    found = judge(step, spec="sgd:lr=3.0,momentum=0.99", expected=expected, actual=summed_otherwise(expected), count=7)

    assert found.verdict == "same", found.wrong


def test_a_loss_may_round_as_large_numbers_do():
    """A probability near 1 less 1 has the rounding of 1, however little is left: gradients are granted that."""
    expected, x, labels = small().double(), np.zeros((4, 3, 9, 9)), np.array([2, 2, 2, 2])
    with torch.no_grad():
        expected[8].bias[2] = 30.0  # what is left is about 1e-13
    network, copied = (TorchMover(expected, ("sgd", {"lr": 0.1}), blurred=blurred) for blurred in (False, True))
    before = network.state()
    network.step(x, labels)

    granted = sway(copied, before, network.state(), network.gradients(), x, labels, "a loss").gradients

    assert np.abs(network.gradients()["8.bias"]).max() < 1e-11
    assert 2.0**-53 / len(x) < granted["8.bias"] < 1e-13


def test_a_network_without_classes_is_refused():
    """Training needs logits: a network that returns maps is told so."""
    maps = nn.Sequential(nn.Conv2d(3, 2, 3))
    with pytest.raises(InputError, match=r"^steps: the expected network gives no classes to learn"):
        judge(expected=maps)


def test_a_reference_that_raises_in_training_is_refused():
    """A batch norm over one value is the reference's trouble, not the candidate's: one line, and what helps."""
    expected = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten())

    with pytest.raises(
        InputError, match=r"^steps: the expected network raises in training, got ValueError: Exp"
    ) as caught:
        judge(expected=expected, x=np.ones((1, 3, 9, 9), np.float32))

    assert caught.value.__notes__[-1].startswith("help: a batch norm in training needs more than one value a channel")


@pytest.mark.parametrize("broken", ["weights", "rate"])
def test_a_reference_that_becomes_nan_is_refused(broken):
    """NaN on both sides is no agreement: a training that diverges, or begins with NaN, is compared with nothing."""
    expected = small()
    if broken == "weights":
        expected[8].weight.data[0, 0] = float("nan")
    spec = "sgd:lr=1e308" if broken == "rate" else SGD

    with pytest.raises(InputError, match=r"^steps: the expected network does not train, got NaN or infinity in \d+ of"):
        judge(expected=expected, spec=spec)


def test_a_part_of_a_network_is_not_trained():
    """Steps are of all parameters: a reference that was captured up to a layer is refused."""
    expected = small()
    x = np.ones((2, 3, 9, 9), np.float32)

    with pytest.raises(InputError, match=r"^steps: the whole network is trained, got --until 4"):
        compare_networks(expected.eval(), copy.deepcopy(expected), x, until="4", training=trained(expected))


def test_a_step_that_raises_leaves_the_answer_open():
    """Nobody knows then what training makes of it: the report says what was raised, and nothing is called same."""

    def step(network, images, labels):
        raise RuntimeError("no such thing\nat all")

    report = judge(step).report

    assert report.verdict == "unknown"
    assert report.doubts == ("it was not trained: RuntimeError: no such thing",)
