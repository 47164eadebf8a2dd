"""What is remembered of the expected network between judgements: it saves work, and no figure hangs on it."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.compare.capture import capture
from layerdiff.compare.comparison import Comparison
from layerdiff.compare.expected import Expected
from layerdiff.compare.judge import judge, judge_in_step
from layerdiff.compare.memory import Dense, Memory
from layerdiff.compare.pairs import Pair
from layerdiff.compare.playback import Played
from layerdiff.compare.yardstick import walk

X = np.random.default_rng(0).standard_normal((1, 3, 97, 70)).astype(np.float32)
F32, F64 = np.dtype("float32"), np.dtype("float64")


class Shifted(nn.Module):
    """A batch norm by hand: another rounding than torch's, and right."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):  # noqa: D102
        n = self.norm
        scale = n.weight / (n.running_var + n.eps).sqrt()
        return x * scale[:, None, None] + (n.bias - n.running_mean * scale)[:, None, None]


def by_hand(network, *names):
    """The network with some of its batch norms written by hand."""
    network = copy.deepcopy(network)
    for name in names:
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, Shifted(network.get_submodule(name)))
    return network.eval().requires_grad_(False)


def candidates(network):
    """Right ones that begin to drift in two places, one that does not drift, and a wrong one."""
    wrong = copy.deepcopy(network)
    wrong.layer2[0].bn1.eps = 1e-3
    return [by_hand(network, "bn1"), network, by_hand(network, "layer3.0.bn1"), wrong, by_hand(network, "layer3.0.bn1")]


def counted(trace):
    """The trace, and how often each of its operations ran in each precision."""
    ran = Counter()

    def told(op):
        def run(*given):
            ran[op.layer, given[0].dtype.name] += 1
            return op.run(*given)

        return replace(op, run=run)

    return replace(trace, ops=tuple(map(told, trace.ops))), ran


@pytest.mark.parametrize("room", [0, 3_000_000, 1 << 30], ids=["none", "some", "all"])
def test_a_report_is_the_same_whoever_was_judged_before(make_resnet, room):
    """With all, some or nothing remembered, every figure of every candidate is that of a judgement by itself."""
    network = make_resnet()
    expected = capture(network, X)
    memory = Memory(expected, X, 0, room)
    for candidate in candidates(network):
        actual = capture(candidate, X)

        assert judge(expected, actual, X, memory=memory) == judge(expected, actual, X)


def test_what_is_remembered_is_not_run_again(make_resnet):
    """The second candidate that begins to drift at the same place runs nothing of the expected network."""
    network = make_resnet()
    expected, ran = counted(capture(network, X))
    memory = Memory(expected, X, 0, 1 << 30)
    one, other = (capture(by_hand(network, "bn1"), X) for _ in range(2))

    judge(expected, one, X, memory=memory)
    first = dict(ran)
    judge(expected, other, X, memory=memory)

    assert set(first) == {(op.layer, dtype.name) for op in expected.ops for dtype in (F32, F64)}
    # Straight, drifting from the stem on, and on the dense probe.
    assert first["layer4.1.conv2", "float32"] == 3
    assert dict(ran) == first


def test_candidates_in_step_run_the_expected_network_once(make_resnet):
    """Judged in step, candidates run each of its operations once on the way and once on the probe, with little room."""
    network = make_resnet()
    expected, ran = counted(capture(network, X))
    memory = Memory(expected, X, 0, room=3_000_000)
    others = [by_hand(network, "bn1"), by_hand(network, "bn1", "layer2.1.bn2"), network]
    traces = [capture(other, X) for other in others]
    asked = {"dtypes": ("float32", "float64"), "seed": 0, "until": None, "on_layer": None, "crash": None}

    reports = judge_in_step([Comparison(expected, trace, X, **asked, memory=memory) for trace in traces])

    # What torch's own code is compared with gets another dense probe than what somebody wrote by hand.
    assert {layer for (layer, _), times in ran.items() if times > 3} == {"bn1", "layer2.1.bn2"}
    # On the way, on the probe, and, in float32 alone, drifting: the second from where the first began.
    assert (ran["layer4.1.conv2", "float32"], ran["layer4.1.conv2", "float64"]) == (3, 2)
    assert reports == [judge(expected, trace, X) for trace in traces]


@pytest.mark.parametrize("reverse", [False, True])
def test_candidates_in_step_wait_for_each_other(make_resnet, reverse):
    """Whatever is judged as one in which candidate, none is ahead of the others by more than that."""
    network = make_resnet()
    expected = capture(network, X)
    order = []

    def told(i):
        return lambda layer: order.append((layer, i))

    traces = [capture(network, X), capture(by_hand(network, "bn1", "layer1.0.bn1"), X)]
    asked = {"dtypes": ("float32",), "seed": 0, "until": None, "crash": None, "memory": None}
    comparisons = [
        Comparison(expected, trace, X, **asked, on_layer=told(i))
        for i, trace in enumerate(traces[::-1] if reverse else traces)
    ]
    judge_in_step(comparisons)

    places = {op.layer: i for i, op in enumerate(expected.ops)}
    assert len(order) == 2 * len(expected.ops)
    assert all(abs(places[one] - places[other]) <= 2 for (one, _), (other, _) in pairwise(order))
    assert all(comparison.place is None for comparison in comparisons)


def test_what_was_not_walked_to_its_end_is_no_floor(make_resnet):
    """Floors of which only the first are known are simulated again."""
    ops = capture(make_resnet(), X).ops
    pairs = [Pair((op,), (op,), tuple(dict.fromkeys(op.inputs))) for op in ops]
    trace = capture(make_resnet(), X)

    def floors(memory, count):
        walk, found = Expected(ops, pairs, X, 0, None, memory), []
        for _ in range(count):
            walk.advance()
            found.append(walk.floor())
        return found

    memory = Memory(trace, X, 0).of(trace, X, 0, F32)

    assert floors(memory, 9) == floors(None, 9)
    assert floors(memory, len(ops)) == floors(memory, len(ops)) == floors(None, len(ops))


def test_where_drifting_begins_tells_floors_apart(make_resnet):
    """Floors that began at one layer do not stand for those that began at another, or at the input."""
    ops = capture(make_resnet(), X).ops
    trace = capture(make_resnet(), X)
    pairs = [Pair((op,), (op,), tuple(dict.fromkeys(op.inputs))) for op in ops]

    def last(memory, start):
        walk = Expected(ops, pairs, X, 0, None, memory)
        for i, _ in enumerate(ops):
            walk.advance()
            if i == start:
                walk.floor()
            if start is None and i == 3:
                walk.drift_from_start()
        return walk.floor()

    memory = Memory(trace, X, 0).of(trace, X, 0, F32)
    starts = (10, 20, None, 50)
    alone = [last(None, start) for start in starts]

    assert [last(memory, start) for start in starts] == [last(memory, start) for start in starts] == alone
    assert len(set(alone)) == len(alone)


def test_memory_is_of_one_network_input_and_seed():
    """Anything else than what it was made for is refused."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3)).eval().requires_grad_(False)
    trace, other = capture(network, X), capture(network, X)
    memory = Memory(trace, X, 0)

    assert memory.of(trace, X.copy(), 0, F32) is memory.of(trace, X, 0, F32)
    assert memory.of(trace, X, 0, F64) is not memory.of(trace, X, 0, F32)
    for asked in ((other, X, 0), (trace, X + 1, 0), (trace, X, 1)):
        with pytest.raises(ValueError, match="memory: it is of another network, input or seed"):
            memory.of(*asked, F32)


def test_room_is_shared_and_kept_to():
    """What is older makes room for what is newer, in whichever precision; what is too large is not remembered."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3)).eval().requires_grad_(False)
    trace = capture(network, X)
    memory = Memory(trace, X, 0, room=100)
    single, double = memory.of(trace, X, 0, F32), memory.of(trace, X, 0, F64)
    ten = np.zeros(10, np.float32)
    # Twenty bytes, and sixteen for what is allowed.
    dense = Dense({"a": ten[:3]}, [Played(trace.ops[0], (), ten[:2])])

    single.keep_output("a", ten)
    double.keep_dense("b", dense)
    single.keep_output("large", np.zeros(26, np.float32))
    assert (single.output("a") is ten, double.dense("b"), single.output("large")) == (True, dense, None)

    single.keep_output("c", ten[:7])
    assert (single.output("a"), double.dense("b")) == (None, dense)
    double.keep_output("d", ten[:9].astype(np.float64))
    assert (double.dense("b"), single.output("c").size, double.output("d").size) == (None, 7, 9)


class Small(nn.Conv2d):
    """Wrong on every map but that of its own size, which it gets in the network."""

    size = (97, 70)

    def forward(self, x):  # noqa: D102
        y = super().forward(x)
        return y if x.shape[2:] == self.size else y * 1.5


class Precise(nn.Conv2d):
    """Off by more than float64's rounding, and by less than float32's, in a channel that is dead here."""

    def forward(self, x):  # noqa: D102
        return super().forward(x) + x[:, 2:3, :1, :1] * 1e-12


def small_net(first):
    """One layer of one's own behind a channel that is zero."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1))
    network[0].weight.data[2], network[0].bias.data[2] = 0, -1
    if first is not None:
        other = first(3, 4, 3, padding=1)
        other.load_state_dict(network[2].state_dict())
        network[2] = other
    return network.eval().requires_grad_(False)


def test_a_small_map_condemns_nothing():
    """What is wrong on a smaller map alone, which the network never gives it, is judged at the real size."""
    expected = capture(small_net(None), X)
    actual = capture(small_net(Small), X)

    report = judge(expected, actual, X)

    assert report.verdict == "same"
    measures = {(m.probe, m.dtype): m for m in report.layers[2].measures}
    assert measures["dense", "float64"].size == measures["activations", "float64"].size


def test_what_float64_alone_shows_is_seen_on_the_small_map():
    """An error below float32's rounding in a dead channel is found, on a map that is small."""
    expected = capture(small_net(None), X)
    actual = capture(small_net(Precise), X)

    report = judge(expected, actual, X)
    found = {(m.probe, m.dtype): m for m in report.layers[2].measures}

    assert found["dense", "float32"].ratio < 1 < found["dense", "float64"].ratio
    assert found["dense", "float64"].size == found["dense", "float32"].size


def test_the_small_map_is_for_the_second_precision_alone():
    """Where float64 is judged alone its dense probe has the real shape; beside float32 it is a small map."""
    expected = capture(small_net(None), X)
    actual = capture(small_net(Small), X)
    own = capture(small_net(type("Own", (nn.Conv2d,), {"forward": nn.Conv2d.forward})), X)

    def sizes(trace, dtypes):
        report = judge(expected, trace, X, dtypes=dtypes)
        assert report.verdict == "same"
        return {m.dtype: m.size for m in report.layers[2].measures if m.probe == "dense"}

    whole = 4 * 97 * 70
    assert sizes(own, ("float32", "float64")) == {"float32": whole, "float64": 4 * 7 * 7}
    assert sizes(own, ("float64",)) == {"float64": whole}
    assert sizes(actual, ("float64",)) == {"float64": whole}


def walks(network, x=X):
    """The expected network in both precisions, one beside the other, and its operations."""
    ops = capture(network, x).ops
    pairs = [Pair((op,), (op,), tuple(dict.fromkeys(op.inputs))) for op in ops]
    single = Expected(ops, pairs, x, 0, None)
    return ops, single, Expected(ops, pairs, x.astype(np.float64), 0, None, beside=single)


def test_the_second_precision_reads_its_floors_off_the_first(make_resnet):
    """In float64 nothing is simulated again: the floors are float32's by 2^-29, and a simulation would say so too."""
    network = make_resnet()
    ops, single, double = walks(network)
    simulated = [step.floor for step in walk(ops, X.astype(np.float64), seed=0)]

    found = []
    for _ in ops:
        for expected in (single, double):
            expected.advance()
        found.append((single.floor(), double.floor()))

    assert [floor for _, floor in found] == [floor / 2**29 for floor, _ in found]
    assert all(abs(floor / other - 1) < 0.05 for (_, floor), other in zip(found, simulated, strict=True) if other)
    assert sum(floor > 0 for floor in simulated) > 50


def test_where_only_the_second_precision_drifts_it_is_simulated(make_resnet):
    """Floors that nobody asked for in float32 are simulated in float64, from the same place as ever."""
    network = make_resnet()
    ops, single, double = walks(network)
    pairs = [Pair((op,), (op,), tuple(dict.fromkeys(op.inputs))) for op in ops]
    alone = Expected(ops, pairs, X.astype(np.float64), 0, None)

    found = []
    for i, _ in enumerate(ops):
        for expected in (single, double, alone):
            expected.advance()
        if i >= 20:
            found.append((double.floor(), alone.floor()))
        if i == 40:
            single.floor()

    assert found[-1][0] > 0
    assert all(one == other for one, other in found)


class Overflowing(nn.Module):
    """Larger than float32 holds between two layers, and small again behind them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.scale = nn.Conv2d(4, 4, 1, bias=False)
        self.clamp = nn.ReLU6()
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x):  # noqa: D102
        return self.bn(self.clamp(self.scale(self.conv(x))))


def test_what_overflows_in_float32_has_floors_in_float64():
    """Where the floor in float32 is not finite, that in float64 is simulated from the input on."""
    torch.manual_seed(0)
    network = Overflowing()
    network.conv.weight.data *= 1e20
    network.scale.weight.data *= 1e20
    ops, single, double = walks(network.eval().requires_grad_(False))
    simulated = [step.floor for step in walk(ops, X.astype(np.float64), seed=0)]

    found = []
    with np.errstate(all="ignore"):
        for _ in ops:
            for expected in (single, double):
                expected.advance()
            found.append((single.floor(), double.floor()))

    assert [bool(np.isfinite(floor)) for floor, _ in found] == [True, False, True, True]
    assert [floor for _, floor in found][1:] == simulated[1:]
    assert np.isfinite(simulated).all()


def test_a_right_network_that_overflows_in_float32_is_the_same():
    """The candidate that adds up in another order is not condemned for what float32 cannot hold."""

    class Flipped(nn.Conv2d):
        def forward(self, x):
            return torch.flip(nn.functional.conv2d(x.flip(1), self.weight.flip((0, 1)), padding=self.padding), (1,))

    torch.manual_seed(0)
    network = Overflowing()
    network.conv.weight.data *= 1e20
    network.scale.weight.data *= 1e20
    network = network.eval().requires_grad_(False)
    other = copy.deepcopy(network)
    flipped = Flipped(3, 4, 3, bias=False)
    flipped.load_state_dict(network.conv.state_dict())
    type(flipped).__name__ = "Conv2d"
    other.conv = flipped.eval().requires_grad_(False)

    report = judge(capture(network, X), capture(other, X), X)

    assert [(layer.layer, layer.status) for layer in report.layers if layer.status == "fault"] == []
    measures = {(m.probe, m.dtype): m for m in report.layers[1].measures}
    assert 0 < measures["propagated", "float64"].ratio <= 1
    assert measures["propagated", "float64"].allowed < 1e-9 * abs(measures["propagated", "float64"].expected)
