"""Initialisations that are not the reference's: each is named, at its tensors, and nothing else is."""

from __future__ import annotations

import math

import pytest
import torch
from initial_kit import SIZE, built, judged, kernels, norms
from torch import nn

import layerdiff

init = nn.init
FAN_OUT = "expected kaiming_normal(fan_out)"


def drawn(draw):
    """Every convolution drawn by a function of torch.nn.init, or by one's own."""

    def plant(network):
        for weight in kernels(network):
            draw(weight)

    return plant


def _default(network):
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()


def _flax(weight):
    std = math.sqrt(1 / weight[0].numel()) / 0.87962566103423978
    init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def _timm(weight):
    init.trunc_normal_(weight, std=0.02, a=-0.04, b=0.04)


def _of_channels(weight):
    weight.normal_(0, math.sqrt(2 / weight.shape[1]))


KERNELS = {
    "torch-default": (_default, "kaiming_uniform(a=√5), torch's default"),
    "he-fan-in": (drawn(init.kaiming_normal_), "kaiming_normal(fan_in)"),
    "he-uniform": (drawn(lambda w: init.kaiming_uniform_(w, mode="fan_out")), "kaiming_uniform(fan_out)"),
    "gain-1": (
        drawn(lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="linear")),
        "kaiming_normal(fan_out) of gain 1",
    ),
    "lecun": (
        drawn(lambda w: init.kaiming_normal_(w, nonlinearity="linear")), "kaiming_normal(fan_in) of gain 1, LeCun's",
    ),
    "xavier-normal": (drawn(init.xavier_normal_), "xavier_normal"),
    "xavier-uniform": (drawn(init.xavier_uniform_), "xavier_uniform"),
    "flax": (drawn(_flax), "kaiming_normal(fan_in) of gain 1, cut off at two standard deviations"),
    "normal-0.01": (drawn(lambda w: w.normal_(0, 0.01)), "normal(std=0.01)"),
    "normal-0.02": (drawn(lambda w: w.normal_(0, 0.02)), "normal(std=0.02)"),
    "timm": (drawn(_timm), "normal(std=0.02), cut off at two standard deviations"),
    "randn": (drawn(lambda w: w.normal_()), "normal(std=1)"),
    "rand": (drawn(lambda w: w.uniform_()), "uniform(0, 1)"),
    "orthogonal": (drawn(init.orthogonal_), "orthogonal"),
    "channels-alone": (
        drawn(_of_channels),
        "kaiming_normal with a fan_in that leaves out the kernel's taps",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("plant", "name"), KERNELS.values(), ids=KERNELS)
def test_a_rule_is_named(plant, name):
    """Every convolution drawn by another rule: one confirmed finding, which names both rules, at exactly these."""
    found = judged(plant)

    (one,) = found.findings
    assert found.verdict == "different"
    assert one.title == f"the convolutions' weights are drawn by {name}, {FAN_OUT}"
    assert (one.code, one.confirmed, one.equally) == ("J3", True, ())
    assert one.after < 1
    assert one.change == 'draw them by nn.init.kaiming_normal_(weight, mode="fan_out")'
    assert {t.name for t in found.tensors if t.status == "different"} <= set(one.layers)
    # Where both fans are equal, nothing tells some rules from the expected one: the others are still found.
    assert all(name.endswith(("conv1.weight", "conv2.weight", "0.weight")) for name in one.layers)


def _zero_gamma(network):
    for block in network.blocks:
        init.zeros_(block.bn2.weight)


def _all_gamma(network):
    for norm in norms(network):
        init.zeros_(norm.weight)


def _bias_zero(network):
    init.zeros_(network.fc.bias)


def _shifts(network):
    for norm in norms(network):
        init.normal_(norm.bias, 0, 0.1)


def _dcgan(network):
    for norm in norms(network):
        init.normal_(norm.weight, 1, 0.02)


def _head(network):
    init.normal_(network.fc.weight, 0, 0.01)


def _nan(network):
    network.fc.weight.fill_(torch.nan)


def _one_nan(network):
    network.fc.weight[0, 0] = torch.nan


OTHERS = {
    "zero-gamma": (
        _zero_gamma, "the last batch norm of every block begins at 0, expected 1", 2, "let them begin at 1"
    ),
    "all-gamma": (_all_gamma, "the batch norms' scales are all 0, expected all 1", 6, "let them begin at 1"),
    "bias-zero": (
        _bias_zero, "the linear layers' biases are all 0, expected torch's default, uniform within 1/√fan_in", 1,
        "draw them: torch's default, uniform within 1/√fan_in",
    ),
    "shifts": (
        _shifts, "the batch norms' shifts are drawn by normal(std=0.1), expected all 0", 6, "let them begin at 0"
    ),
    "dcgan": (
        _dcgan, "the batch norms' scales are drawn by normal(1, std=0.02), DCGAN's, expected all 1", 6,
        "let them begin at 1",
    ),
    "head": (
        _head,
        "the linear layers' weights are drawn by normal(std=0.01), expected kaiming_uniform(a=√5), torch's default", 1,
        "draw them by nn.init.kaiming_uniform_(weight, a=5**0.5)",
    ),
    "nan": (
        _nan, "the linear layers' weights hold values that are no numbers: memory that was never filled, it seems", 1,
        "draw them: kaiming_uniform(a=√5), torch's default is expected",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("plant", "title", "places", "change"), OTHERS.values(), ids=OTHERS)
def test_norms_biases_and_the_head_are_named(plant, title, places, change):
    """Constants where values are drawn, values where constants are expected, and zero-gamma: one finding each."""
    found = judged(plant)

    (one,) = found.findings
    assert (one.code, one.title, one.change) == ("J3", title, change)
    assert len(one.layers) == places
    assert set(one.layers) == {t.name for t in found.tensors if t.status == "different"}


def test_a_single_nan_is_seen():
    """One value that is no number among thousands that are right."""
    (one,) = judged(_one_nan).findings

    assert one.layers == ("fc.weight",)
    assert one.evidence[0].startswith("fc.weight: 1 NaN or infinite, expected std ")


def test_orthogonal_kernels_are_told_from_drawn_ones_of_equal_spread():
    """LeCun's normal and orthogonal kernels with more inputs than outputs have the same figures; the angles tell."""
    expected = built(100, drawn(lambda w: init.kaiming_normal_(w, nonlinearity="linear")))

    (one,) = judged(drawn(init.orthogonal_), expected=expected).findings

    assert "blocks.1.conv2.weight" in one.layers
    assert one.title == (
        "the convolutions' weights are drawn by orthogonal, expected kaiming_normal(fan_in) of gain 1, LeCun's"
    )


def test_zero_gamma_the_other_way_round():
    """A reference whose blocks begin as their shortcut, and a candidate whose blocks do not."""
    (one,) = judged(expected=built(100, _zero_gamma)).findings

    assert one.title == "the last batch norm of every block begins at 1, expected 0"
    assert one.layers == ("blocks.0.bn2.weight", "blocks.1.bn2.weight")


def test_two_rules_in_one_network_are_two_findings():
    """Convolutions of which some are drawn by one rule and some by another: how many of each, at exactly these."""

    def plant(network):
        for conv in (network.blocks[0].conv1, network.blocks[0].conv2):
            init.normal_(conv.weight, 0, 0.01)
        init.uniform_(network.blocks[1].conv2.weight, -0.05, 0.05)

    found = judged(plant)

    assert [one.title for one in found.findings] == [
        f"2 of 6 convolutions' weights are drawn by normal(std=0.01), {FAN_OUT}",
        f"1 of 6 convolutions' weights are drawn by uniform(-0.05, 0.05), {FAN_OUT}",
    ]


def test_a_bias_that_the_reference_has_not():
    """A bias too many is as good as none while it is 0; one that is drawn is a finding."""

    def silent(network):
        init.zeros_(network.conv1.bias)

    drawn_bias, zero = judged(stem_bias=True), judged(silent, stem_bias=True)

    assert (zero.verdict, zero.findings) == ("same", ())
    (one,) = drawn_bias.findings
    assert one.layers == ("conv1.bias",)
    assert one.title == (
        "the biases that the reference has not are drawn by torch's default, uniform within 1/√fan_in, "
        "expected none, or 0"
    )
    assert one.change == "leave them out, or let them begin at 0"


def test_loaded_weights_are_recognised():
    """A network that came with weights is no sample of any rule: it is said, and no rule is named."""

    def trained(network):
        for parameter in network.parameters():
            noise = torch.rand_like(parameter) ** 3 - 0.2
            parameter.mul_(1 + noise).add_(noise * 0.03)
        for norm in norms(network):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.1, 2)

    found = judged(trained)
    unknown = [one for one in found.findings if one.code == "U1"]

    assert [one.title for one in unknown] == [
        "it came with weights: its running estimates have moved, and the rest is drawn by no rule that is known"
    ]
    assert not any(one.confirmed for one in found.findings)
    assert {"blocks.1.conv2.weight", "fc.weight", "bn1.running_mean", "bn1.running_var"} <= set(unknown[0].layers)


def test_running_estimates_that_moved_alone():
    """A network that ran in training mode while it was built is told from one that came with weights."""

    def ran(network):
        network.train()(torch.randn(4, 3, 16, 16))

    (one,) = judged(ran).findings

    assert one.title == "the running estimates of the batch norms have moved: it is not fresh from its constructor"
    assert one.code == "U1"


SOLVED = {
    "std": (lambda w: w.normal_(0, 0.137), "normal(std=0.137)"),
    "fan-in": (
        lambda w: w.normal_(0, 1.2 / math.sqrt(w[0].numel())), "kaiming_normal(fan_in) of gain 1.2",
    ),
    "fan-out": (
        lambda w: init.kaiming_uniform_(w, a=1, mode="fan_out").mul_(0.7), "kaiming_uniform(fan_out) of gain 0.7",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("draw", "name"), SOLVED.values(), ids=SOLVED)
def test_a_number_that_nobody_uses_is_solved_for(draw, name):
    """One standard deviation, or one gain, that explains kernels of several fans is named in three digits."""
    (one,) = judged(drawn(draw)).findings

    found, _, digits = one.title.partition(" expected ")[0].removesuffix(",").rpartition("=" if "std" in name else " ")
    wanted, _, number = name.rpartition("=" if "std" in name else " ")
    assert found == f"the convolutions' weights are drawn by {wanted}"
    # 6 standard errors of the 75,000 values' standard deviation.
    assert abs(math.log(float(digits.strip(")")) / float(number.strip(")")))) < 6 * math.sqrt(0.5 / 75_000) + 0.005
    assert one.confirmed


def test_what_no_rule_explains_is_said():
    """Values of a shape that nothing known has are different and unexplained, not given the nearest rule's name."""

    def draw(weight):
        weight.copy_(torch.distributions.Laplace(0.0, 0.03).sample(weight.shape))

    (one,) = judged(drawn(draw)).findings

    assert one.code == "U1"
    assert one.title == f"the convolutions' weights are drawn by no rule that is known, {FAN_OUT}"
    assert not one.confirmed


def test_a_rule_that_fits_one_tensor_by_chance_is_not_named():
    """Where the rest has no rule, a single tensor's likeness to one of dozens is no evidence."""

    def plant(network):
        for i, weight in enumerate(kernels(network)):
            weight.copy_(torch.distributions.Laplace(0.0, 0.03).sample(weight.shape))
            if i == 0:
                init.normal_(weight, 0, 0.01)

    (one,) = judged(plant).findings

    assert one.code == "U1"
    assert "conv1.weight" in one.layers


def test_equal_fans_name_both_rules():
    """Where fan in and fan out are equal everywhere, both rules are one distribution, and both are told."""

    def plain(seed, draw):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            network = nn.Sequential(*(nn.Conv2d(3, 3, 9, padding=4, bias=False) for _ in range(4)))
            for conv in network:
                draw(conv.weight)
        return network.eval()

    found = layerdiff.compare_initial(
        plain(0, init.xavier_uniform_), expected=plain(1, init.kaiming_normal_), size=SIZE
    )

    (one,) = found.findings
    assert one.confirmed
    assert one.title.startswith("the convolutions' weights are drawn by kaiming_uniform(fan_in) of gain 1, LeCun's")
    assert one.equally == ("J3: kaiming_uniform(fan_out) of gain 1", "J3: xavier_uniform")
