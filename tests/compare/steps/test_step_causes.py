"""Mistakes of a training step, planted, and named."""

from __future__ import annotations

import copy

import pytest
import torch
from steps_kit import SGD, by, judge, small
from torch import nn
from torch.optim import Adam, AdamW, RMSprop

Sgd = torch.optim.SGD

ADAM, ADAMW = "adam:lr=0.01,weight_decay=0.01", "adamw:lr=0.01,weight_decay=0.01"
PLAIN, RMS, ADA = "adam:lr=0.01", "rmsprop:lr=0.01", "adagrad:lr=0.01"


def _sgd(**values):
    return by(lambda p: Sgd(p, **{"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01} | values))


def by_hand(rule):
    """A step by a rule of the tensor, its gradient, what is kept of it, and the number of the step."""

    def step(network, images, labels):
        if not hasattr(network, "kept"):
            network.kept = {"number": 0}
        kept = network.kept
        kept["number"] += 1
        network.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        with torch.no_grad():
            for name, p in network.named_parameters():
                rule(p, p.grad, kept.setdefault(name, {}), kept["number"])

    return step


def _decays_beside(lr):
    def rule(p, g, kept, number):
        kept["v"] = 0.9 * kept["v"] + g if kept else g.clone()
        p -= 0.1 * kept["v"] + lr * 0.01 * p

    return by_hand(rule)


@by_hand
def _averaged(p, g, kept, number):
    kept["v"] = 0.9 * kept.get("v", 0) + 0.1 * (g + 0.01 * p)
    p -= 0.1 * kept["v"]


def _adams(correct=(True, True), late=0, eps="outside"):
    def rule(p, g, kept, number):
        m = kept["m"] = 0.9 * kept.get("m", 0) + 0.1 * g
        v = kept["v"] = 0.999 * kept.get("v", 0) + 0.001 * g**2
        m = m / (1 - 0.9 ** (number + late)) if correct[0] else m
        c = 1 - 0.999 ** (number + late) if correct[1] else 1
        root = {"outside": (v / c).sqrt() + 1e-8, "inside": (v / c + 1e-8).sqrt(), "early": (v.sqrt() + 1e-8) / c**0.5}
        p -= 0.01 * m / root[eps]

    return by_hand(rule)


@by_hand
def _tensorflows_rmsprop(p, g, kept, number):
    kept["v"] = 0.99 * kept.get("v", 0) + 0.01 * g**2
    p -= 0.01 * g / (kept["v"] + 1e-8).sqrt()


@by_hand
def _adagrad_inside(p, g, kept, number):
    kept["s"] = kept.get("s", 0) + g**2
    p -= 0.01 * g / (kept["s"] + 1e-10).sqrt()


def _two_groups(parameters):
    parameters = list(parameters)
    groups = [{"params": [p for p in parameters if p.ndim > 1]},
              {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0}]  # fmt: skip
    return Sgd(groups, lr=0.1, momentum=0.9, weight_decay=0.01)


def _summed(logits, labels):
    return nn.functional.cross_entropy(logits, labels, reduction="sum")


NORMS = {f"{place}.{name}" for place in (1, 4) for name in ("weight", "bias")}

PLANTED = {
    "no weight decay": (SGD, _sgd(weight_decay=0), "J1", "weight_decay is 0, expected 0.01"),
    "another weight decay": (SGD, _sgd(weight_decay=0.0123), "J1", "weight_decay is 0.0123, expected 0.01"),
    "decay beside the momentum": (SGD, _decays_beside(0.1), "J1", "weight decay is taken off beside the momentum"),
    "decay without lr": (SGD, _decays_beside(1), "J1",
                         "weight decay is taken off beside the momentum, without the learning rate"),
    "decay for matrices only": (SGD, by(_two_groups), "J1", "weight_decay is 0, expected 0.01"),
    "AdamW for Adam": (ADAM, by(lambda p: AdamW(p, lr=0.01, weight_decay=0.01)), "J1",
                       "weight decay goes off the weights, beside the step (AdamW)"),
    "Adam for AdamW": (ADAMW, by(lambda p: Adam(p, lr=0.01, weight_decay=0.01)), "J1",
                       "weight decay goes into the gradient (Adam)"),
    "AdamW's decay without lr": (ADAMW, by(lambda p: AdamW(p, lr=0.01, weight_decay=1.0)), "J1",
                                 "weight decay is not multiplied by the learning rate"),
    "never zeroed": (SGD, by(lambda p: Sgd(p, lr=0.1, momentum=0.9, weight_decay=0.01), zero=False), "J2",
                     "the gradients of the steps before are still in it"),
    "never zeroed, Adam": (PLAIN, by(lambda p: Adam(p, lr=0.01), zero=False), "J2",
                           "the gradients of the steps before are still in it"),
    "summed loss": (SGD, by(lambda p: Sgd(p, lr=0.1, momentum=0.9, weight_decay=0.01), loss=_summed), "J10",
                    "the gradients are 4 times as large, and the weight decay is not"),
    "another lr": (SGD, _sgd(lr=0.037), "J11", "lr is 0.037, expected 0.1"),
    "another lr, Adam": (PLAIN, by(lambda p: Adam(p, lr=0.003)), "J11", "lr is 0.003, expected 0.01"),
    "lr and decay": (SGD, _sgd(lr=0.05, weight_decay=0.03), "J1",
                     "weight_decay is 0.03, expected 0.01 and lr is 0.05, expected 0.1"),
    "momentum": (SGD, _sgd(momentum=0.83), "J13", "momentum is 0.83, expected 0.9"),
    "Nesterov": (SGD, _sgd(nesterov=True), "J13", "nesterov is True, expected False"),
    "dampening": (SGD, _sgd(dampening=0.9), "J13", "dampening is 0.9, expected 0"),
    "betas": (PLAIN, by(lambda p: Adam(p, lr=0.01, betas=(0.5, 0.999))), "J13",
              "betas is (0.5, 0.999), expected (0.9, 0.999)"),
    "no correction": (PLAIN, _adams((False, False)), "J13",
                      "the running means are not corrected for their start at zero"),
    "half a correction": (PLAIN, _adams((True, False)), "J13",
                          "the mean of the squares is not corrected for its start at zero"),
    "counted from 2": (PLAIN, _adams(late=1), "J13", "the steps are counted from 2 on"),
    "eps inside": (PLAIN, _adams(eps="inside"), "J13", "eps is added inside the root"),
    "eps early": (PLAIN, _adams(eps="early"), "J13", "eps is added before the root is corrected"),
    "TensorFlow's RMSprop": (RMS, _tensorflows_rmsprop, "J13", "eps is added inside the root"),
    "alpha": (RMS, by(lambda p: RMSprop(p, lr=0.01, alpha=0.9)), "J13", "alpha is 0.9, expected 0.99"),
    "Adagrad's eps inside": (ADA, _adagrad_inside, "J13", "eps is added inside the root"),
    "SGD for Adam": (PLAIN, by(lambda p: Sgd(p, lr=0.01)), "J13", "it moves as SGD does"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_mistake_of_the_optimiser_is_named(name):
    """With the value solved for, and confirmed: the expected gradients, put through it, give the candidate's steps."""
    spec, step, code, title = PLANTED[name]

    found = judge(step, spec=spec)

    assert found.verdict == "different"
    assert {key: one.title for key, one in found.findings.items()} == {code: title}
    assert found.findings[code].confirmed
    assert found.findings[code].after <= 1
    assert set(found.findings[code].layers) == found.wrong
    if name == "decay for matrices only":
        assert found.wrong == NORMS | {"0.bias", "8.bias"}


def test_gradients_that_are_zeroed_before_the_step_move_nothing():
    """All parameters stand still, to the bit: it is said of all of them, with the order of calls to look at."""
    step = by(lambda p: Sgd(p, lr=0.1, momentum=0.9), between=lambda network, optimiser: optimiser.zero_grad())

    found = judge(step, spec="sgd:lr=0.1,momentum=0.9")

    assert found.findings["J12"].title == "no parameter is ever moved"
    assert "zero_grad() before the two" in found.findings["J12"].change


def test_a_velocity_that_is_a_mean_is_told_beside_the_learning_rate():
    """With the first gradient weighed like the others the two cannot be told apart: both are named."""
    found = judge(_averaged)

    assert found.findings["J11"].title == "lr is 0.01, expected 0.1"
    assert found.findings["J11"].equally[0].startswith("J13: the velocity is a mean of the gradients")


def test_parameters_that_the_optimiser_was_not_given_are_named():
    """Those that stand still are told from the others, which move as expected."""
    found = judge(
        lambda network, x, y: by(lambda p: Sgd(network[8].parameters(), lr=0.1))(network, x, y), spec="sgd:lr=0.1"
    )

    moving = {"8.weight", "8.bias"}
    unknown = {"0.bias"}  # a batch norm takes it away again: its gradient is rounding, and nothing says where it goes
    assert found.findings["J12"].layers == tuple(
        sorted({name for name, _ in small().named_parameters()} - moving - unknown)
    )
    assert found.wrong.isdisjoint(moving)


def test_frozen_parameters_of_the_network_itself_are_named():
    """requires_grad=False in the candidate is no matter of its optimiser, and is seen all the same."""
    actual = small()
    actual[3].weight.requires_grad_(False)

    found = judge(actual=actual)

    assert found.findings["J12"].layers == ("3.weight",)
    assert found.findings["J12"].title == "a parameter is never moved"


def test_norms_in_eval_mode_are_named_and_explain_the_gradients():
    """Frozen statistics change every gradient before them: one cause, confirmed by training the reference so."""

    class Frozen(nn.BatchNorm2d):
        def forward(self, x):
            return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False)

    actual = small()
    actual[4] = Frozen(4)
    actual.load_state_dict(small().state_dict())

    found = judge(actual=actual)

    assert set(found.findings) == {"K6"}
    assert found.findings["K6"].title == "a batch norm stays in eval mode while the network trains"
    assert found.wrong <= set(found.findings["K6"].layers) | {
        f"{name}.momentum_buffer" for name in found.findings["K6"].layers
    }


RUNNING = {
    "C2 momentum": (0.01, True, "C2", "takes in 0.01 of a batch, expected 0.1"),
    "C2 Keras": (0.9, True, "C2", "takes in 0.9 of a batch, expected 0.1"),
    "C3": (0.1, False, "C3", "takes in the biased variance, divided by n"),
}


@pytest.mark.parametrize("name", RUNNING)
def test_running_estimates_that_move_otherwise_are_named(name):
    """The forward pass in training mode is right: only what eval mode will use later is not."""
    momentum, unbiased, code, words = RUNNING[name]

    class Own(nn.BatchNorm2d):
        def forward(self, x):
            y = nn.functional.batch_norm(x, None, None, self.weight, self.bias, True)
            with torch.no_grad():
                self.running_mean.lerp_(x.mean((0, 2, 3)), momentum)
                self.running_var.lerp_(x.var((0, 2, 3), unbiased=unbiased), momentum)
            return y

    actual = small()
    actual[1], actual[4] = Own(6), Own(4)
    actual.load_state_dict(small().state_dict())

    found = judge(actual=actual)

    assert {one.code for one in found.report.findings} == {code}
    assert all(one.title.endswith(words) and one.confirmed for one in found.report.findings)
    assert {name for one in found.report.findings for name in one.layers} == found.wrong


def test_the_expected_momentum_is_the_references():
    """A reference that takes in 0.3 of a batch is what is expected, and not torch's default."""
    expected, actual = small(), small()
    expected[1].momentum = expected[4].momentum = 0.3

    found = judge(expected=expected, actual=actual)

    assert {one.title.partition("takes in ")[2] for one in found.report.findings} == {"0.1 of a batch, expected 0.3"}
    assert {name for one in found.report.findings for name in one.layers} == found.wrong


def test_another_loss_is_told_from_another_optimiser():
    """Its gradients differ, and the expected optimiser makes of them what it does: no cause is claimed."""
    smooth = by(lambda p: Sgd(p, lr=0.1), loss=lambda z, y: nn.functional.cross_entropy(z, y, label_smoothing=0.1))

    found = judge(smooth, spec="sgd:lr=0.1")

    assert found.findings["U1"].title == "its gradients are others, and it moves by them as expected"
    assert not found.findings["U1"].confirmed


def test_what_is_nothing_of_all_this_is_unexplained():
    """A step that adds noise has no cause that could be confirmed, and gets none."""

    def noisy(network, images, labels):
        by(lambda p: Sgd(p, lr=0.1))(network, images, labels)
        with torch.no_grad():
            network[0].weight.add_(torch.randn(network[0].weight.shape), alpha=1e-3)

    found = judge(noisy, spec="sgd:lr=0.1")

    assert found.wrong == {"0.weight"}
    assert {one.title for one in found.report.findings} == {"the way its parameters move is unexplained"}


def test_a_mistake_in_one_tensor_is_told_of_that_alone():
    """Two learning rates: the parameters of the second group are named, and the others are same."""
    step = by(lambda p: Sgd([{"params": list(p)[:-2]}, {"params": list(small_last), "lr": 0.2}], lr=0.1))
    actual = copy.deepcopy(small())
    small_last = []

    def run(network, images, labels):
        small_last[:] = list(network[8].parameters())
        return step(network, images, labels)

    found = judge(run, spec="sgd:lr=0.1", actual=actual)

    assert found.wrong == {"8.weight", "8.bias"}
    assert found.findings["J11"].title == "lr is 0.2, expected 0.1"
