"""Operations that are judged as one: a chain in the candidate for one layer, several layers for one operation."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from layerdiff.compare import comparison
from layerdiff.compare.allowance import RULES, allowance_together, is_known_together
from layerdiff.compare.capture import capture
from layerdiff.compare.judge import judge
from layerdiff.compare.pairs import Alignment, Pair, outside_inputs
from layerdiff.compare.playback import Played, play
from layerdiff.compare.render.terminal import render_terminal
from layerdiff.compare.result import Run
from layerdiff.compare.trace import INPUT, Op

X = np.random.default_rng(5).standard_normal((2, 3, 17, 14)).astype(np.float32)


class Plain(nn.Module):
    """A convolution, a batch norm, a ReLU, a max-pool, an addition, a global average and a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.branch = nn.Conv2d(8, 8, 3, 1, 1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)
        generator = torch.Generator().manual_seed(1)
        for tensor in self.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.4)
        self.bn.running_var.abs_().add_(0.1)
        self.eval().requires_grad_(False)

    def forward(self, x):  # noqa: D102
        x = self.pool(self.relu(self.bn(self.conv(x))))
        return self.fc(torch.flatten(self.avgpool(self.branch(x) + x), 1))


class Other(Plain):
    """The same, written otherwise: it pads by itself, pools before the ReLU, and means instead of pooling."""

    def padded(self, x):  # noqa: D102
        return functional.conv2d(functional.pad(x, (1, 1, 1, 1)), self.conv.weight, None, 2)

    def forward(self, x):  # noqa: D102
        x = self.relu(self.pool(self.bn(self.padded(x))))
        return self.fc((x + self.branch(x)).mean([2, 3]))


class Folded(Plain):
    """The same, with the batch norm folded into the convolution."""

    def forward(self, x):  # noqa: D102
        factor = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        weight, bias = self.conv.weight * factor[:, None, None, None], self.bn.bias - self.bn.running_mean * factor
        x = self.pool(self.relu(functional.conv2d(x, weight, bias, 2, 1)))
        return self.fc(torch.flatten(self.avgpool(self.branch(x) + x), 1))


def pairing(*lines):
    """Stands in for `align`: each line is `expected,... <- actual,... <- feed,...`."""

    def align(expected, actual, **_):
        here, there = ({op.layer: op for op in ops} for ops in (expected, actual))
        pairs = []
        for line in lines:
            ours, theirs, feeds = ([name for name in part.strip().split(",") if name] for part in line.split("<-"))
            pairs.append(
                Pair(
                    tuple(here[n] for n in ours), tuple(there[n] for n in theirs), tuple(feeds), (), "by hand", "likely"
                )
            )
        used = {op.layer for pair in pairs for op in pair.actual}
        return Alignment(tuple(pairs), tuple(op for op in actual if op.layer not in used))

    return align


class FoldedBefore(Folded):
    """The same, folded once and for all."""

    def __init__(self):
        super().__init__()
        factor = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        self.conv2d = nn.Conv2d(3, 8, 3, 2, 1).requires_grad_(False)
        self.conv2d.weight.copy_(self.conv.weight * factor[:, None, None, None])
        self.conv2d.bias.copy_(self.bn.bias - self.bn.running_mean * factor)

    def forward(self, x):  # noqa: D102
        x = self.pool(self.relu(self.conv2d(x)))
        return self.fc(torch.flatten(self.avgpool(self.branch(x) + x), 1))


OTHER = pairing(
    "conv <- pad,conv <- input",
    "bn <- bn <- conv",
    "relu,pool <- pool,relu <- bn",
    "branch <- branch <- pool",
    "add <- add <- pool,branch",
    "avgpool,flatten <- mean <- add",
    "fc <- fc <- flatten",
)
FOLDED = pairing(
    "conv,bn <- conv2d <- input",
    "relu <- relu <- bn",
    "pool <- pool <- relu",
    "branch <- branch <- pool",
    "add <- add <- branch,pool",
    "avgpool <- avgpool <- add",
    "flatten <- flatten <- avgpool",
    "fc <- fc <- flatten",
)


@pytest.fixture
def judged(monkeypatch):
    """Judges a candidate against `Plain` under a given alignment."""

    def judged_so(actual, align, **options):
        monkeypatch.setattr(comparison, "aligned", lambda e, a, until: align(e.ops, a.ops))
        expected = Plain()
        return judge(capture(expected, X), capture(actual.eval(), X), X, **options)

    return judged_so


def blamed(report):
    """The layers at fault."""
    return [layer.layer for layer in report.layers if layer.status == "fault"]


def test_the_same_network_written_otherwise_is_same(judged):
    """Padding apart, another order, one step for two: every layer is same, three probes, two precisions."""
    report = judged(Other(), OTHER)

    assert report.verdict == "same"
    assert [layer.index for layer in report.layers] == list(range(len(report.layers)))
    assert all(len(layer.measures) == 6 for layer in report.layers)


def test_a_folded_batch_norm_is_same_in_the_precision_of_its_weights(judged):
    """Weights folded in the forward pass are folded in each precision; folded before, in float32, they show it."""
    single, both = judged(Folded(), FOLDED, dtypes=("float32",)), judged(Folded(), FOLDED)

    assert (single.verdict, both.verdict) == ("same", "same")
    assert 0 < max(m.ratio for layer in single.layers for m in layer.measures) < 1
    before = judged(FoldedBefore(), FOLDED)
    assert blamed(before) == ["conv", "bn"]
    assert before.layers[0].reason.endswith("too small for float32 to show")


def test_the_report_says_what_was_judged_together_and_how_it_is_written(judged):
    """Each layer of a group names the others, the candidate's operations, the reason and the confidence."""
    report = judged(Other(), OTHER)
    by_name = {layer.layer: layer for layer in report.layers}

    relu, pool, conv = by_name["relu"], by_name["pool"], by_name["conv"]
    assert (relu.together, pool.together, conv.together) == (("pool",), ("relu",), ())
    assert relu.measures == pool.measures
    assert conv.written_as == ("pad (pad)", "conv (conv2d)")
    assert (conv.partner, conv.pairing, conv.confidence) == ("conv", "by hand", "likely")
    assert relu.notes == ("written as pool (max_pool2d), relu (relu)", "judged together with pool")
    assert by_name["bn"].notes == ()
    text = render_terminal(Run({}, (report,)))
    assert "note: 5 layers are written otherwise: conv as pad (pad), conv (conv2d); --all" in text
    assert "note: conv: written as pad (pad), conv (conv2d)" in render_terminal(Run({}, (report,)), every_layer=True)


@pytest.mark.parametrize(
    ("spoil", "layers"),
    [
        (lambda net: net.conv.weight[0, 0, 0, 0].add_(0.01), ["conv"]),
        (lambda net: setattr(net.pool, "kernel_size", 2), ["relu", "pool"]),
        (lambda net: setattr(net, "relu", nn.LeakyReLU(1e-6)), ["relu", "pool"]),
        (lambda net: net.fc.bias[1].add_(1e-3), ["fc"]),
    ],
    ids=["chain", "pool", "slope", "behind"],
)  # fmt: skip
def test_a_fault_in_a_group_is_the_fault_of_all_its_layers_and_of_no_other(judged, spoil, layers):
    """A fault in a chain or a group is named there, and what is behind inherits."""
    actual = Other()
    spoil(actual)

    report = judged(actual, OTHER)

    assert report.verdict == "different"
    assert blamed(report) == layers
    at = [layer.layer for layer in report.layers].index(layers[-1])
    assert {layer.status for layer in report.layers[at + 1 :]} <= {"inherited"}


@pytest.mark.parametrize("scale", [1.0 + 1e-4, 1.0 - 1e-4], ids=["more", "less"])
def test_a_folded_batch_norm_that_is_wrong_is_at_fault(judged, scale):
    """A hair in one variance of a batch norm that was folded away is found in the group of the two."""
    actual = Folded()
    actual.bn.running_var[3] *= scale

    assert blamed(judged(actual, FOLDED, dtypes=("float32",))) == ["conv", "bn"]


class Flipped(Plain):
    """Adds the mirror image of what it should add."""

    def forward(self, x):  # noqa: D102
        x = self.pool(self.relu(self.bn(self.conv(x))))
        return self.fc(torch.flatten(self.avgpool(self.branch(x) + x.flip(3)), 1))


def test_what_is_right_by_itself_and_given_something_else_is_found_end_to_end(judged):
    """A layer that is fed the right values alone, and gets others in its network, is not spared its end-to-end run."""
    alone = pairing(
        "conv <- conv <- input", "bn <- bn <- conv", "relu <- relu <- bn", "pool <- pool <- relu",
        "branch <- branch <- pool", "add <- add <- branch,pool", "avgpool <- avgpool <- add",
        "flatten <- flatten <- avgpool", "fc <- fc <- flatten",
    )  # fmt: skip

    report = judged(Flipped(), alone)

    assert blamed(report) == ["add"]
    assert report.layers[5].reason.startswith("agrees by itself, differs end to end")


def test_a_group_inherits_as_one(judged, monkeypatch):
    """A group of which only the last member takes what is wrong inherits as a whole: its first is not blamed."""
    actual = Plain()
    actual.conv.weight.mul_(1.01)
    alone = pairing(
        "conv <- conv <- input", "bn <- bn <- conv", "relu <- relu <- bn", "pool <- pool <- relu",
        "branch,add <- branch,add <- pool", "avgpool,flatten <- avgpool,flatten <- add", "fc <- fc <- flatten",
    )  # fmt: skip

    report = judged(actual, alone)

    assert blamed(report) == ["conv"]
    assert {layer.status for layer in report.layers[1:]} == {"inherited"}


def test_a_group_whose_allowance_nobody_knows_could_not_be_judged(judged):
    """What a convolution makes of an allowance is not derived: such a group is unjudged, never same."""
    alone = pairing(
        "conv <- conv <- input", "bn <- bn <- conv", "relu <- relu <- bn", "pool <- pool <- relu",
        "branch <- branch <- pool", "add <- add <- branch,pool", "avgpool <- avgpool <- add",
        "flatten <- flatten <- avgpool", "fc <- fc <- flatten",
    )  # fmt: skip
    together = pairing(
        "conv <- conv <- input", "bn <- bn <- conv", "relu <- relu <- bn", "pool,branch,add <- pool,branch,add <- relu",
        "avgpool <- avgpool <- add", "flatten <- flatten <- avgpool", "fc <- fc <- flatten",
    )  # fmt: skip

    assert judged(Plain(), alone).verdict == "same"
    report = judged(Plain(), together)
    assert report.verdict == "unknown"
    assert report.layers[5].reason == "no allowance is known for pool, branch and add as one"


def test_feeds_that_do_not_fit_are_not_compared(judged):
    """A chain that is fed too little, or something that is made only later, is never same."""
    lines = [
        "conv <- conv <- input", "bn <- bn <- conv", "relu <- relu <- bn", "pool <- pool <- relu",
        "branch <- branch <- pool", "add <- add <- branch,pool", "avgpool <- avgpool <- add",
        "flatten <- flatten <- avgpool", "fc <- fc <- flatten",
    ]  # fmt: skip
    for wrong in ("add <- add <- branch", "add <- add <- branch,fc"):
        report = judged(Plain(), pairing(*[wrong if line.startswith("add") else line for line in lines]))
        assert report.verdict == "unknown"
        assert report.layers[5].reason.startswith("it was not compared by itself")


def played(module, *names):
    """The last operations of a small network, played on `X` in float32 and float64."""
    ops = capture(module.eval().requires_grad_(False), X).ops
    found = {dtype: play(ops, {INPUT: X.astype(dtype)})[0] for dtype in (np.float32, np.float64)}
    return found[np.float32], found[np.float64]


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6)],
        [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, 1)],
        [nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d((3, 2)), nn.Flatten(1)],
        [nn.Conv2d(3, 6, 5), nn.AvgPool2d(3, 2, 1), nn.LeakyReLU(0.3), nn.ReLU6()],
    ],
    ids=["norm", "pool", "average", "clipped"],
)
def test_an_allowance_is_carried_through_what_follows(layers):
    """Moving the first output by up to its allowance moves the last by at most the allowance of all together."""
    network = nn.Sequential(*layers)
    for module in network:
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.01, 2)
            nn.init.normal_(module.weight, 0, 3)
    single, _ = played(network)
    kinds = {**RULES, "LeakyReLU": RULES["leaky_relu"], "ReLU6": RULES["relu6"]}
    single = [_renamed(one) for one in single]
    first, allowed = single[0], allowance_together(single, kinds)
    own = allowance_together(single[:1], kinds)
    rest = [one.op for one in single[1:]]
    start = first.output.astype(np.float64)
    straight = play(rest, {first.op.layer: start})[0][-1].output

    worst = 0.0
    for seed in range(20):
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], start.shape)
        moved = play(rest, {first.op.layer: start + signs * own})[0][-1].output
        worst = max(worst, float((np.abs(moved - straight) / allowed).max()))

    assert 0.1 < worst <= 1


def _renamed(one):
    """Under the kinds that functions have: a stopgap until classes have them too."""
    import dataclasses

    kind = {"LeakyReLU": "leaky_relu", "ReLU6": "relu6"}.get(one.op.kind)
    if kind is None:
        return one
    return dataclasses.replace(
        one,
        op=dataclasses.replace(one.op, kind=kind, attributes={"negative_slope": 0.3} if kind == "leaky_relu" else {}),
    )


def test_nothing_is_carried_through_a_convolution():
    """Two convolutions, or a padding with other numbers than zeros, are not judged as one."""
    single, _ = played(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)))
    assert allowance_together(single, RULES) is None
    assert not is_known_together(single, RULES)

    first = single[0]
    pads = [
        Op("pad", "pad", "pad", (first.op.layer,), {"value": value}, {}, (1,), "float32", run=lambda x: x)
        for value in (0, 1)
    ]
    known = [is_known_together([first, Played(op, (first.output,), first.output)], RULES) for op in pads]
    assert known == [True, False]


def test_outside_inputs_are_what_a_chain_is_fed():
    """What a chain makes itself it is not fed, and what it takes twice it is fed once."""
    ops = capture(Other(), X).ops
    assert outside_inputs([op for op in ops if op.layer in {"pad", "conv2d"}]) == (INPUT,)
    assert outside_inputs([op for op in ops if op.layer in {"branch", "add"}]) == ("relu",)
    assert copy.deepcopy(ops[0].inputs) == (INPUT,)
