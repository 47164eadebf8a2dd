"""The evidence of networks: what is kept of which layers, that it is what the judge saw, and what it costs."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from functools import cache

import jsonschema
import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.compare import comparison as judging_module
from layerdiff.compare import gathered as gathered_module
from layerdiff.compare import second_look
from layerdiff.compare.align import align
from layerdiff.compare.capture import capture
from layerdiff.compare.capture_onnx import capture_onnx
from layerdiff.compare.check import compare_networks
from layerdiff.compare.gathered import check_keep, gathered, with_evidence
from layerdiff.compare.judge import judge
from layerdiff.compare.judge_trace import judge_trace
from layerdiff.compare.lane import Lane
from layerdiff.compare.pairs import Alignment
from layerdiff.compare.result import Run
from layerdiff.compare.saved import read_run, run_to_json
from layerdiff.compare.schema import run_schema
from layerdiff.compare.traces import compare_traces, with_floors
from layerdiff.compare.verdict import condemning
from layerdiff.errors import InputError

X = np.random.default_rng(0).standard_normal((2, 3, 12, 10)).astype(np.float32)


class Net(nn.Module):
    """Small, and with something of every kind that is broken below."""

    def __init__(self, depth=1):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential(*(nn.Conv2d(6, 6, 1) for _ in range(depth)))
        self.fc = nn.Linear(6, 4)

    def forward(self, x):  # noqa: D102
        x = self.relu(self.bn1(self.conv1(x)))
        return self.fc(self.blocks(x).mean((2, 3)))


@cache
def net(depth=1):
    """The expected network."""
    torch.manual_seed(0)
    network = Net(depth).eval().requires_grad_(False)
    # One channel stays at zero behind the rectifier.
    network.bn1.bias[2] = -100
    return network


def broken(change, depth=1):
    """A copy of it, changed."""
    network = copy.deepcopy(net(depth))
    change(network)
    return network


def compared(change, **options):
    """The report on a changed copy."""
    return compare_networks(net(), broken(change), X, **{"diagnose": False} | options)


def faults(report):
    """The layers at fault, by id."""
    return {layer.layer: layer for layer in report.layers if layer.status == "fault"}


def eps(network):
    """Seen in every value."""
    network.bn1.eps = 1e-3


def weight(network):
    """Seen in one channel."""
    network.conv1.weight[2, 1, 0, 0] += 0.5


def hidden(network):
    """Of a channel that these pictures leave at zero: seen on the dense probe alone."""
    network.blocks[0].weight[1, 2] += 1


def not_finite(network):
    """Seen as what is no number."""
    network.blocks[0].bias[4] = float("nan")


def tiny(network):
    """Too small for float32 to show."""
    network.fc.bias[0] = torch.nextafter(network.fc.bias[0], torch.tensor(9.0))


def end_to_end(monkeypatch, change):
    """The report where each layer is right on what it should be given, and one is given something else."""
    expected, actual = capture(net(), X), capture(broken(change), X)
    first = align(expected.ops, actual.ops)
    wrong = [replace(op, inputs=("conv1",)) if op.layer == "relu" else op for op in actual.ops]
    pairs = tuple(replace(pair, actual=(wrong[i],)) for i, pair in enumerate(first.pairs))
    for module in (judging_module, second_look):
        monkeypatch.setattr(module, "aligned", lambda *_: Alignment(pairs, ()))
    actual = replace(actual, ops=tuple(wrong), returned_by=None, returned=None)
    return with_evidence(judge(expected, actual, X), expected, actual, X, seed=0)


def nothing(network):
    """Left as it is."""


def assert_shown_as_judged(report):
    """The first of each layer's worst elements is that of the measure for which it is at fault, figure for figure."""
    for one in faults(report).values():
        measure, worst = condemning(one), one.evidence.worst[0]
        assert (one.evidence.probe, one.evidence.dtype) == (measure.probe, measure.dtype)
        assert (worst.index, worst.expected, worst.actual) == (measure.index, measure.expected, measure.actual)
        assert (worst.allowed, worst.ratio) == (measure.allowed, measure.ratio)
        counted = one.evidence.histogram
        assert sum(counted.counts) + counted.exact + counted.unbounded == measure.size


@pytest.mark.parametrize(
    ("change", "layer", "probe", "dtype"),
    [
        (eps, "bn1", "activations", "float32"),
        (weight, "conv1", "activations", "float32"),
        (hidden, "blocks.0", "dense", "float32"),
        (not_finite, "blocks.0", "activations", "float32"),
        (tiny, "fc", "activations", "float64"),
    ],
    ids=lambda one: getattr(one, "__name__", None) or str(one),
)
def test_what_is_shown_is_what_the_judge_saw(change, layer, probe, dtype):
    """The comparison that condemned a layer, with its own allowance, whichever probe and precision it was."""
    report = compared(change)

    (found,) = faults(report).values()
    assert (found.layer, found.evidence.probe, found.evidence.dtype) == (layer, probe, dtype)
    assert_shown_as_judged(report)


def test_what_differs_end_to_end_alone_is_shown_end_to_end(monkeypatch):
    """Where a layer is right by itself and wrong in its network, that is what is shown, with the floor as allowance."""
    report = end_to_end(monkeypatch, nothing)

    (found,) = faults(report).values()
    assert (found.layer, found.evidence.probe) == ("relu", "propagated")
    assert found.reason.startswith("agrees by itself, differs end to end")
    assert_shown_as_judged(report)


def test_both_looks_at_once(monkeypatch):
    """A layer that is wrong by itself, and one that is wrong end to end, are both shown as they were judged."""
    report = end_to_end(monkeypatch, lambda network: network.blocks[0].bias.add_(1))

    assert [(name, one.evidence.probe) for name, one in faults(report).items()] == [
        ("relu", "propagated"), ("blocks.0", "activations"),
    ]  # fmt: skip
    assert_shown_as_judged(report)


def test_a_layer_at_fault_has_its_parameters_settings_and_code():
    """Both sides of each, and the lines around the one that calls it; of other layers nothing is kept."""
    report = compared(eps)

    found = faults(report)["bn1"]
    assert [one.name for one in found.parameters] == ["weight", "bias", "running_mean", "running_var"]
    assert all(one.equal for one in found.parameters)
    assert ("eps", "1e-05", "0.001") in found.attributes
    assert any(f"{__file__}:{line.number}" == found.source and "self.bn1" in line.text for line in found.code)
    assert all(one.evidence is None and not one.parameters and not one.code for one in report.layers if one != found)


def test_evidence_is_kept_of_the_first_ten_layers_at_fault():
    """In the order of execution; of how many more there are is said."""
    report = compare_networks(
        net(14), broken(lambda network: [one.bias.add_(1) for one in network.blocks], 14), X, diagnose=False
    )

    kept = [one.layer for one in report.layers if one.evidence is not None]
    assert len(faults(report)) == 14
    assert kept == [f"blocks.{i}" for i in range(10)]
    assert report.evidence_left_out == 4


def test_all_or_none_is_kept_where_that_is_asked():
    """Of all layers, also where they are the same to the bit, or of none."""
    none, every = (compared(eps, keep_evidence=keep) for keep in ("none", "all"))

    assert [one.evidence for one in none.layers] == [None] * len(none.layers)
    assert all(one.evidence is not None and one.code for one in every.layers)
    same = next(one for one in every.layers if one.layer == "conv1").evidence
    assert (same.worst, same.maps, same.histogram.exact) == ((), (), 2 * 6 * 12 * 10)
    assert {one.layer: one.evidence for one in every.layers if one.status == "fault"} == {
        layer: one.evidence for layer, one in faults(compared(eps)).items()
    }
    assert every.verdict == none.verdict == "different"


def test_a_run_that_is_the_same_pays_nothing(monkeypatch):
    """No network is run again where no layer is at fault, or none is to be shown."""

    def never(*_, **__):
        raise AssertionError("looked again")

    monkeypatch.setattr(gathered_module, "look_again", never)

    assert compared(nothing).verdict == "same"
    assert compared(eps, keep_evidence="none").verdict == "different"
    with pytest.raises(AssertionError, match="looked again"):
        compared(eps)


def test_a_second_look_runs_what_it_needs_alone(monkeypatch):
    """For what is wrong by itself no other layer of the candidate is run again, nor anything behind it."""
    looked, ran = [], []
    original = Lane.measure

    def measure(lane, pair):
        looked.append(pair.expected[-1].layer)
        return original(lane, pair)

    def told(op):
        return replace(op, native=False, run=lambda *given: ran.append(op.layer) or op.run(*given))

    expected, actual = capture(net(), X), capture(broken(eps), X)
    report = judge(expected, actual, X)
    monkeypatch.setattr(Lane, "measure", measure)
    found = with_evidence(report, expected, replace(actual, ops=tuple(map(told, actual.ops))), X, seed=0)

    assert looked == ["conv1", "bn1"]
    assert set(ran) == {"bn1"}
    assert_shown_as_judged(found)


def test_other_comparisons_are_not_taken_for_the_one_that_is_wanted():
    """Another probe is none, whoever shows it; where rounding gives other figures than it did, the last are taken."""
    report = compared(eps, keep_evidence="none")
    want = condemning(faults(report)["bn1"])
    one = np.ones(want.size, np.float32).reshape(2, 6, 12, 10)

    def shown(*measures):
        def again(wanted, watch):
            assert wanted == {"bn1": want}
            for i, measure in enumerate(measures):
                watch(("bn1",), measure, one, one + np.float32(i + 1), 0.5)
            return {}

        evidence = gathered(report, again, keep="failed").layers[1].evidence
        return None if evidence is None else evidence.worst[0].error

    other, near = replace(want, probe="dense"), replace(want, ratio=want.ratio * 1.001)
    assert shown() is None
    assert shown(other, replace(want, dtype="float64")) is None
    assert shown(near, replace(near, ratio=1e9), other) == 2
    assert shown(near, want, near) == 2


def test_a_layer_of_the_wrong_shape_has_no_picture():
    """There is nothing to set side by side, and nothing crashes; what else is known of it is kept."""

    def stride(network):
        network.conv1.stride = (2, 2)

    found = faults(compared(stride))["conv1"]
    assert found.problems == ("shape: got (2, 6, 6, 5), expected (2, 6, 12, 10)",)
    assert (found.evidence, found.parameters[0].equal) == (None, True)
    assert ("stride", "(1, 1)", "(2, 2)") in found.attributes


def test_a_network_that_raises_is_shown_as_far_as_it_came():
    """What is wrong before it raised has its evidence."""

    def crash(network):
        eps(network)
        network.fc = nn.Linear(5, 4)

    report = compared(crash)
    assert report.crash
    assert faults(report)["bn1"].evidence is not None


def test_the_same_networks_give_the_same_bytes():
    """Two judgements are written as the same JSON, which fits the published schema."""
    texts = [run_to_json(Run({}, (compared(not_finite, diagnose=True),))) for _ in range(2)]

    assert texts[0] == texts[1]
    jsonschema.validate(msgspec.json.decode(texts[0]), run_schema())


def test_a_run_is_read_back_with_its_evidence(tmp_path):
    """All of it stands in the file."""
    run = Run({}, (compared(eps, diagnose=True), compared(weight, keep_evidence="all")))
    (tmp_path / "run.json").write_bytes(run_to_json(run))

    assert read_run(tmp_path / "run.json") == run


def test_an_unusable_choice_is_refused():
    """What may be kept is said."""
    with pytest.raises(InputError) as error:
        check_keep("some")

    assert str(error.value) == "keep_evidence: of no use, got 'some', expected failed, all or none"


def test_each_layer_has_its_cost():
    """Numbers that are learnt, and multiply-adds for this batch."""
    found = {one.layer: (one.parameter_count, one.multiply_adds) for one in compared(nothing).layers}

    assert found == {
        "conv1": (162, 2 * 120 * 162), "bn1": (12, 0), "relu": (0, 0), "blocks.0": (42, 2 * 120 * 36), "mean": (0, 0),
        "fc": (28, 2 * 24),
    }  # fmt: skip


def test_what_two_layers_share_is_counted_once():
    """The second of them has no parameters of its own, and does its work all the same."""
    network = broken(lambda one: one.blocks.append(one.blocks[0]))
    found = [one for one in compare_networks(network, copy.deepcopy(network), X).layers if "blocks" in one.layer]

    assert [(one.parameter_count, one.multiply_adds) for one in found] == [(42, 8640), (0, 8640)]


class _More(Net):
    """Doubles what it returns."""

    def forward(self, x):
        return super().forward(x) * 2


def test_the_candidates_graph_is_there_with_its_partners():
    """Every operation with what it takes and stands for; one that is too many stands for nothing."""

    def more(network):
        network.__class__ = _More

    found = {one.layer: one for one in compared(more).operations}
    assert [(one.partner, one.inputs) for one in found.values()] == [
        ("conv1", ("input",)), ("bn1", ("conv1",)), ("relu", ("bn1",)), ("blocks.0", ("relu",)),
        ("mean", ("blocks.0",)), ("fc", ("mean",)), (None, ("fc",)),
    ]  # fmt: skip
    assert found["mul"].source.startswith(f"{__file__}:")


class _Folded(Net):
    """Has its batch norm in its convolution."""

    def forward(self, x):
        scale = self.bn1.weight / torch.sqrt(self.bn1.running_var + self.bn1.eps)
        shift = self.bn1.bias - self.bn1.running_mean * scale
        x = self.relu(nn.functional.conv2d(x, self.conv1.weight * scale.reshape(-1, 1, 1, 1), shift, padding=1))
        return self.fc(self.blocks(x).mean((2, 3)))


def test_an_operation_that_stands_for_two_layers_stands_for_the_last():
    """So that its place in the expected network is where its output is."""

    def folded(network):
        network.__class__ = _Folded

    report = compared(folded)
    found = [one.partner for one in report.operations if one.kind == "conv2d"]
    assert found == ["bn1", "blocks.0"]


def test_what_the_diagnosis_tried_is_there():
    """The cause with what was left once it was undone, and, where nothing explains it, the nearest with theirs."""
    (first, *_) = compared(eps, diagnose=True).tried
    assert (first.code, first.layers, first.confirmed) == ("C1", ("bn1",), True)
    assert first.ratio <= 1

    report = compare_networks(net(), broken(odd), X)
    assert [one.code for one in report.findings] == ["U1"]
    assert 1 <= len(report.tried) <= 8
    assert not any(one.confirmed for one in report.tried)
    assert all(one.layers == ("conv1",) and (one.ratio is None or one.ratio > 1) for one in report.tried)
    nearest = f"{report.tried[0].code} {report.tried[0].title}: off by"
    assert any(nearest in line for line in report.findings[0].evidence)


class _Odd(nn.Conv2d):
    def forward(self, x):
        out = super().forward(x)
        return out + 0.01 * torch.sin(7 * out).flip(1)


def odd(network):
    """What no hypothesis explains."""
    network.conv1.__class__ = _Odd


def test_a_recorded_trace_is_shown_too():
    """The expected layer on what the trace recorded, beside what it recorded next; its file's own words are not."""
    expected, actual = capture(net(), X), capture(broken(eps), X, keep=True)
    values = dict(actual.values)
    values["fc"] = values["fc"] + np.float32(1)
    report = judge_trace(expected, replace(actual, values=values), X)

    assert list(faults(report)) == ["bn1", "fc"]
    assert_shown_as_judged(report)
    assert not any(one.parameters or one.attributes or one.code for one in report.layers)
    assert [(one.layer, one.partner) for one in report.operations] == [(op.layer, op.layer) for op in expected.ops]
    bare = tuple(replace(op, inputs=()) for op in actual.ops)
    assert judge_trace(expected, replace(actual, values=values, ops=bare), X).operations == ()
    none = judge_trace(expected, replace(actual, values=values), X, keep_evidence="none")
    assert all(one.evidence is None for one in none.layers)


def test_the_layers_of_a_gap_are_shown_by_the_one_they_are_judged_with():
    """What is wrong in a gap is shown where it comes out."""
    expected, actual = capture(net(), X), capture(broken(eps), X, keep=True)
    values = {layer: value for layer, value in actual.values.items() if layer != "bn1"}
    report = judge_trace(expected, replace(actual, values=values), X)

    assert list(faults(report)) == ["bn1", "relu"]
    assert_shown_as_judged(report)


@pytest.mark.parametrize("bound", [{}, {"rtol": 1e-4, "atol": 1e-6}], ids=["floors", "tolerances"])
def test_two_traces_are_shown_too(bound):
    """End to end, with the bound that was asked for."""
    expected = with_floors(capture(net(), X, keep=True), X)
    report = compare_traces(expected, capture(broken(eps), X, keep=True), **bound)

    (found,) = faults(report).values()
    assert (found.layer, found.evidence.probe) == ("bn1", "propagated")
    assert [one.partner for one in report.operations] == [op.layer for op in expected.ops]
    assert_shown_as_judged(report)


def test_an_onnx_file_is_shown_too(tmp_path):
    """Its operations can be run, and are."""
    with warnings.catch_warnings():
        # The exporter warns of torch's own code.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            broken(weight), (torch.from_numpy(X),), str(tmp_path / "a.onnx"), dynamo=False, verbose=False
        )  # fmt: skip
    expected, actual = capture(net(), X), capture_onnx(tmp_path / "a.onnx", X)
    report = with_evidence(judge(expected, actual, X), expected, actual, X, seed=0)

    assert "conv1" in faults(report)
    assert_shown_as_judged(report)
