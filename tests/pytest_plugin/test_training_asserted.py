"""The assertion and the tests for each layer, on gradients and on steps of training."""

from __future__ import annotations

from types import SimpleNamespace

import made_runs
import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.errors import InputError
from layerdiff.testing import assert_same_network, each_layer
from layerdiff.testing.differences import differences
from layerdiff.testing.message import failure

X = np.random.default_rng(0).standard_normal((2, 3, 9, 9)).astype(np.float32)


class Net(nn.Module):
    """A convolution, a batch norm and a head; the gradient may be cut off before the norm."""

    def __init__(self, momentum=0.1, cut=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4, momentum=momentum)
        self.fc = nn.Linear(4, 5)
        self.cut = cut

    def forward(self, x):  # noqa: D102
        x = self.conv1(x)
        x = self.bn1(x.detach() if self.cut else x)
        return self.fc(x.mean((2, 3)))


def make(**settings):
    """A network with weights that are the same each time."""
    torch.manual_seed(0)
    return Net(**settings).eval()


def never_zeroed(network, images, labels):
    """A step that lacks zero_grad()."""
    nn.functional.cross_entropy(network(images), labels).backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.sub_(0.1 * parameter.grad)


def message(*networks, **options):
    """The lines of what the assertion says."""
    with pytest.raises(AssertionError) as caught:
        assert_same_network(*networks, X, **options)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("backward", ["train", "eval"])
@pytest.mark.parametrize("carry", [False, True])
def test_networks_that_go_back_and_learn_alike_pass(backward, carry):
    """Gradients and steps are compared and found the same, with either network's weights."""
    report = assert_same_network(
        make(), make(), X, backward=backward, steps=2, optimizer="sgd:lr=0.1", carry_weights=carry
    )

    assert (report.verdict, report.gradients.verdict, report.steps.verdict) == ("same", "same", "same")
    assert (report.gradients.mode, report.steps.count, report.steps.optimizer) == (backward, 2, "sgd:lr=0.1")


def test_what_training_makes_of_a_tensor_is_said_first():
    """The tensor, the verdict, the cause and its code; then after which step, and how many tensors."""
    lines = message(make(momentum=0.9), make(), steps=3, optimizer="sgd:lr=0.1")

    first = "training bn1.running_mean: different: the running mean takes in 0.9 of a batch, expected 0.1 [C2]"
    assert lines[0] == first
    assert lines[1].startswith("after step 1: 4 of 4 values differ; at [")
    assert lines[2:] == [
        "note: of 7 tensors, in training, 2 at fault, 5 are same",
        "note: also training bn1.running_var",
        "help: torch's momentum is the weight of the new batch; Keras's that of the old mean",
    ]


def test_a_step_of_ones_own_is_judged():
    """A function that moves the network is held against the optimiser's step."""
    lines = message(make(), make(), steps=2, optimizer="sgd:lr=0.1", step=never_zeroed)

    assert lines[0] == "training conv1.weight: different: the gradients of the steps before are still in it [J2]"
    assert lines[1].startswith("after step 2: 108 of 108 values differ; ")
    assert lines[-1] == "help: call zero_grad() before every backward"


def test_a_gradient_that_differs_is_said_with_its_figures():
    """What it is the gradient of, and how it is with the layers going back."""
    report = made_runs.runs()["several"].reports[0]
    found = differences(report)

    lines = failure(report, found).splitlines()

    assert lines[0].startswith("backward layer1.0.conv1: different: ")
    assert lines[1].startswith("the gradient of layer1.0.conv1.weight: at [")
    assert lines[2].startswith(f"note: of {len(report.gradients.layers)} layers, going back, 1 at fault, ")


@pytest.mark.parametrize(
    ("options", "line", "advice"),
    [
        ({"step": never_zeroed}, "step: no steps are compared, got step alone", "help: steps=3 compares three of them"),
        ({"steps": -1}, "steps: got -1, expected from 1 to 1000", None),
        ({"steps": 1, "until": "bn1"}, "steps: the whole network is trained, got --until bn1", "help: leave one of"),
        ({"steps": 1, "optimizer": "sgdx"}, "optimizer: unknown optimiser, got 'sgdx', expected one of sgd", "help:"),
    ],
    ids=["step", "steps", "until", "optimizer"],
)
def test_what_cannot_be_compared_is_refused(options, line, advice):
    """In a line, before any work."""
    with pytest.raises(InputError) as caught:
        assert_same_network(make(), make(), X, **options)

    assert str(caught.value).startswith(line)
    assert advice is None or caught.value.__notes__[0].startswith(advice)


def outcomes(**options):
    """What becomes of the test of each layer, and the first line it says."""

    @each_layer(expected=make, x=X, optimizer="sgd:lr=0.1", **options)
    def test():
        return make(momentum=0.9, cut=True)

    found = {}
    for layer in test.layerdiff_layers.ids:
        try:
            test(layerdiff_layer=layer)
            found[layer] = SimpleNamespace(outcome="passed", line="")
        except (pytest.fail.Exception, pytest.skip.Exception) as error:
            found[layer] = SimpleNamespace(outcome=type(error).__name__, line=str(error).splitlines()[0])
    return found


def test_the_test_of_a_layer_has_its_gradients_and_its_training():
    """What is wrong going back or in training fails the layer that it is wrong in; without them all pass."""
    assert {one.outcome for one in outcomes().values()} == {"passed"}
    back = outcomes(backward="train")
    assert {layer: one.outcome for layer, one in back.items()} == {
        "conv1": "Failed", "bn1": "passed", "mean": "passed", "fc": "passed",
    }  # fmt: skip
    assert back["conv1"].line.startswith("backward conv1: different: ")
    trained = outcomes(steps=1)
    assert {layer: one.outcome for layer, one in trained.items()} == {
        "conv1": "Failed", "bn1": "Failed", "mean": "passed", "fc": "passed",
    }  # fmt: skip
    assert trained["conv1"].line.startswith("training conv1.weight: different: ")
    assert trained["bn1"].line.startswith("training bn1.running_mean: different: ")


class Scaled(torch.autograd.Function):
    """The identity, whose gradient is too large."""

    @staticmethod
    def forward(context, x):  # noqa: D102
        return x.clone()

    @staticmethod
    def backward(context, gradient):  # noqa: D102
        return 1.5 * gradient


class ScaledNet(Net):
    """Its gradient is wrong behind the batch norm, so the convolution gets a wrong one."""

    def forward(self, x):  # noqa: D102
        return self.fc(Scaled.apply(self.bn1(self.conv1(x))).mean((2, 3)))


def test_a_layer_that_only_inherits_a_gradient_is_skipped():
    """By itself it goes back as it should."""

    @each_layer(expected=make, x=X, backward="train", diagnose=False)
    def test():
        torch.manual_seed(0)
        return ScaledNet().eval()

    with pytest.raises(pytest.skip.Exception, match="inherits: only the gradient that it is given differs"):
        test(layerdiff_layer="conv1")
