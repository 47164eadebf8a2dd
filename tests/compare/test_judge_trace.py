"""The judgement of recorded traces: faults found exactly, gaps bridged, nothing taken on trust."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from layerdiff.compare.capture import capture
from layerdiff.compare.judge_trace import judge_trace
from layerdiff.compare.saved import read_trace, write_trace
from layerdiff.compare.trace import INPUT, Op, Trace
from layerdiff.errors import InputError
from layerdiff.handwritten import numpy_resnet


@pytest.fixture(scope="module")
def _expected():
    return {}


@pytest.fixture
def expected(make_resnet, x, _expected):
    """The reference, captured once."""
    if not _expected:
        _expected["trace"] = capture(make_resnet(), x, name="the reference")
    return _expected["trace"]


@pytest.fixture
def twin_values(make_resnet, x, _expected):
    """What the NumPy twin recorded: other kernels, so other roundings."""
    if "twin" not in _expected:
        twin = numpy_resnet.build("resnet18")
        twin.load_state_dict({name: tensor.numpy() for name, tensor in make_resnet().state_dict().items()})
        _expected["twin"] = capture(twin, x, keep=True).values
    return dict(_expected["twin"])


def recorded(network, x):
    """The values of a network's layers, in x's precision."""
    if x.dtype == np.float32:
        return dict(capture(network, x, keep=True).values)
    trace = capture(network, x.astype(np.float32))
    values = {INPUT: x}
    for op in trace.ops:
        values[op.layer] = np.array(op.run(*(values[layer].copy() for layer in op.inputs)))
    return values


def a_trace(values):
    """A trace as it is read from a file: values by layer id, nothing else."""
    ops = tuple(
        Op(layer, layer, "", (), {}, {}, value.shape, value.dtype.name)
        for layer, value in values.items()
        if layer != INPUT
    )
    return Trace("the candidate", ops, values, ops[-1].layer if ops else "")


def statuses(report, *wanted):
    """The layers of these statuses."""
    return [layer.layer for layer in report.layers if layer.status in wanted]


def two_faults(network):
    """Breaks a batch norm of layer1 and a weight of layer3."""
    network.layer1[0].bn1.eps = 1e-3
    network.layer3[1].conv2.weight.data[5] *= 1.02
    return network


def test_another_implementation_is_same(expected, twin_values, x):
    """A trace of all layers is same, each compared by itself and end to end."""
    report = judge_trace(expected, a_trace({INPUT: x, **twin_values}), x)

    assert report.verdict == "same"
    assert [layer.layer for layer in report.layers] == [op.layer for op in expected.ops]
    assert {tuple(m.probe for m in layer.measures) for layer in report.layers} == {("activations", "propagated")}
    assert max(m.ratio for layer in report.layers for m in layer.measures) > 0
    assert report.dtypes == ("float32",)


def test_float64_is_judged_in_float64(make_resnet, expected, x):
    """A trace in double precision shows what float32 cannot: an eps that is off by a thousandth."""
    network = make_resnet()
    values = recorded(network, x.astype(float))
    assert judge_trace(expected, a_trace(values), x).verdict == "same"

    network.layer1[0].bn1.eps = 1.001e-5
    report = judge_trace(expected, a_trace(recorded(network, x.astype(float))), x)

    assert statuses(report, "fault") == ["layer1.0.bn1"]
    assert {m.dtype for layer in report.layers for m in layer.measures} == {"float64"}


def test_two_faults_are_both_found(make_resnet, expected, x):
    """Faults far apart are named exactly, and what lies between and after them only inherits."""
    report = judge_trace(expected, a_trace({INPUT: x, **recorded(two_faults(make_resnet()), x)}), x)

    assert report.verdict == "different"
    assert statuses(report, "fault") == ["layer1.0.bn1", "layer3.1.conv2"]
    after = [layer.status for layer in report.layers[6:] if layer.layer != "layer3.1.conv2"]
    assert set(after) == {"inherited"}
    assert not statuses(report, "unjudged")


def test_layers_in_a_gap_are_judged_with_the_next_one(make_resnet, expected, twin_values, x):
    """Of a trace of block outputs every block is one: right ones agree, faults are found at their blocks."""
    blocks = [op.layer for op in expected.ops if op.layer.endswith("relu_1")] + ["fc"]
    right = judge_trace(expected, a_trace({INPUT: x} | {layer: twin_values[layer] for layer in blocks}), x)
    values = recorded(two_faults(make_resnet()), x)
    wrong = judge_trace(expected, a_trace({INPUT: x} | {layer: values[layer] for layer in blocks}), x)

    assert right.verdict == "same"
    assert [layer.layer for layer in right.layers] == [op.layer for op in expected.ops]
    block = {layer.layer: layer for layer in right.layers if layer.layer.startswith("layer1.1.")}
    assert block["layer1.1.relu_1"].together == tuple(block)[:-1]
    assert {layer.partner for layer in block.values()} == {"layer1.1.relu_1"}
    assert {layer.inputs for layer in block.values()} == {("layer1.0.relu_1",)}
    at_fault = statuses(wrong, "fault")
    assert [layer for layer in at_fault if layer in blocks] == ["layer1.0.relu_1", "layer3.1.relu_1"]
    assert at_fault[-7:] == [op.layer for op in expected.ops if op.layer.startswith("layer3.1.")]
    assert {layer.layer for layer in wrong.layers} - set(at_fault) == set(statuses(wrong, "inherited"))


@pytest.mark.parametrize("seed", range(12))
def test_no_gap_makes_a_right_network_wrong(expected, twin_values, x, seed):
    """Whichever layers are left out: what remains is same, and each layer is in exactly what it was judged with."""
    rng = np.random.default_rng(seed)
    kept = [layer for layer in twin_values if rng.random() < rng.choice([0.1, 0.5, 0.9])]

    report = judge_trace(expected, a_trace({INPUT: x} | {name: twin_values[name] for name in [*kept, "fc"]}), x)

    assert report.verdict == "same"
    assert {layer.layer for layer in report.layers if not layer.together} <= {*kept, "fc"}
    assert {layer.partner for layer in report.layers} == {*kept, "fc"}


def test_what_nothing_comes_after_is_unjudged(expected, twin_values, x):
    """A trace that ends early is not same, unless no more than it holds is asked for."""
    values = {INPUT: x} | {
        name: value for name, value in twin_values.items() if not name.startswith(("layer4", "avg", "fl", "fc"))
    }
    report = judge_trace(expected, a_trace(values), x)
    part = judge_trace(expected, a_trace(values), x, until="layer3")

    assert report.verdict == "unknown"
    assert statuses(report, "unjudged")[0] == "layer4.0.conv1"
    assert {layer.reason for layer in report.layers if layer.status == "unjudged"} == {
        "the trace has no value of it, nor of a layer after it"
    }
    assert (part.verdict, part.until) == ("same", "layer3")


def test_without_its_input_a_trace_is_never_same(make_resnet, expected, twin_values, x):
    """Then nothing is compared end to end, and the report says why; a fault is still found where it is."""
    right = judge_trace(expected, a_trace(twin_values), x)
    wrong = judge_trace(expected, a_trace(recorded(two_faults(make_resnet()), x)), x)

    assert right.verdict == "unknown"
    assert right.doubts == ("the trace does not hold its input, so that it is of the same one is not shown",)
    assert set(statuses(right, "unjudged")) == set(twin_values)
    assert right.layers[0].reason == "the trace has no input, so nothing shows what this layer was given"
    assert right.layers[1].reason == "the trace does not hold its input: that it is of the same one is not shown"
    assert {m.probe for layer in right.layers for m in layer.measures} == {"activations"}
    assert wrong.verdict == "different"
    assert statuses(wrong, "fault") == ["layer1.0.bn1", "layer3.1.conv2"]


@pytest.mark.parametrize(
    ("change", "message", "note"),
    [
        (lambda x: x[:, :, :-1], r"shape \(1, 3, 64, 49\), expected \(1, 3, 65, 49\)", None),
        (lambda x: x.transpose(0, 2, 3, 1), r"shape \(1, 65, 49, 3\)", "transpose(0, 3, 1, 2), and so are its val"),
        (lambda x: x[:, ::-1], "values that differ", "it is the input with its channels in reverse order"),
        (lambda x: x[..., ::-1], "values that differ", "it is the input mirrored"),
        (lambda x: x * np.float32(1 + 1e-6), "values that differ, by up to .*e-06", "prepared by other code"),
        (lambda x: x * 255, "values that differ, by up to", None),
    ],
    ids=["size", "axes", "channels", "mirrored", "near", "scaled"],
)
def test_another_input_is_refused(expected, twin_values, x, change, message, note):
    """Bit for bit or not at all; how far apart the two are is said, and what it looks like."""
    with pytest.raises(
        InputError, match=f"the candidate: a trace of another input, got .*{message}|{message}"
    ) as caught:
        judge_trace(expected, a_trace({INPUT: change(x), **twin_values}), x)

    notes = "\n".join(caught.value.__notes__)
    assert "run the candidate on exactly these numbers" in notes
    if note is not None:
        assert note in notes


def test_a_digest_stands_for_the_input(expected, twin_values, x):
    """A trace of our own holds the input's digest; that of another input is refused."""
    own = replace(a_trace(twin_values), input_digest=expected.input_digest)

    assert judge_trace(expected, own, x).verdict == "same"
    with pytest.raises(InputError, match="a trace of another input, got cdcdcdcdcdcd, expected "):
        judge_trace(expected, replace(own, input_digest="cd" * 32), x)


def test_a_saved_trace_of_our_own_is_judged(make_resnet, expected, x, tmp_path):
    """What `layerdiff capture` writes: both of two faults are named, and operations of its own are extra."""
    write_trace(capture(two_faults(make_resnet()), x, keep=True), tmp_path / "a.safetensors")
    trace = read_trace(tmp_path / "a.safetensors")
    more = replace(trace.ops[0], layer="layer1.gelu", path="layer1.gelu", kind="gelu", inputs=("maxpool",))

    assert statuses(judge_trace(expected, trace, x), "fault") == ["layer1.0.bn1", "layer3.1.conv2"]
    report = judge_trace(expected, replace(trace, ops=(more, *trace.ops)), x)
    assert [extra.layer for extra in report.extra] == ["layer1.gelu"]


def test_values_that_are_not_finite_are_a_fault_where_they_arise(expected, twin_values, x):
    """NaN is a finding, not a broken file: it is counted, and what takes it is not blamed."""
    values = {INPUT: x, **twin_values}
    first = list(twin_values).index("layer1.1.bn1")
    for name in list(twin_values)[first:]:
        values[name] = values[name] * np.float32("nan")

    report = judge_trace(expected, a_trace(values), x)

    assert report.verdict == "different"
    assert statuses(report, "fault") == ["layer1.1.bn1"]
    assert "values are not finite in float32" in report.layers[first].reason
    assert report.layers[first + 1].status == "unjudged"
    assert report.layers[first + 1].reason == "what it was given, layer1.1.bn1, is not finite"


def test_another_shape_is_a_fault_where_it_arises(make_resnet, expected, x):
    """A stride too many: the layer is named with both shapes, and what follows right by itself inherits."""
    network = make_resnet()
    network.layer2[0].conv1.stride = (1, 1)
    network.layer2[0].downsample[0].stride = (1, 1)

    report = judge_trace(expected, a_trace({INPUT: x, **recorded(network, x)}), x)

    assert statuses(report, "fault") == ["layer2.0.conv1", "layer2.0.downsample.0"]
    assert report.layers[[op.layer for op in expected.ops].index("layer2.0.conv1")].reason == (
        "shape: got (1, 128, 17, 13), expected (1, 128, 9, 7)"
    )
    assert "layer2.0.bn1" in statuses(report, "inherited")


def test_a_shape_that_cannot_be_taken_is_not_blamed_on_the_taker(expected, twin_values, x):
    """A layer whose recorded input no right layer takes is unjudged, and says so."""
    values = {INPUT: x, **twin_values}
    values["layer1.0.relu"] = values["layer1.0.relu"][:, :5]

    report = judge_trace(expected, a_trace(values), x)
    (layer,) = [layer for layer in report.layers if layer.layer == "layer1.0.conv2"]

    assert statuses(report, "fault") == ["layer1.0.relu"]
    assert layer.status == "unjudged"
    assert layer.reason.startswith("it cannot be given layer1.0.relu of shape (1, 5, ")


def test_an_operation_without_a_rule_leaves_its_gap_unjudged(make_resnet, x):
    """What rounding may do to an unknown operation nobody knows: neither it nor what is judged with it is same."""
    network = make_resnet()
    network.layer1[0].relu = torch.nn.Softsign()
    expected = capture(network, x, until="layer1.0", keep=True)
    kind = next(op.kind for op in expected.ops if op.layer == "layer1.0.relu")
    every = {INPUT: x, **expected.values}

    full = judge_trace(expected, a_trace(every), x)
    gap = judge_trace(expected, a_trace({name: v for name, v in every.items() if name != "layer1.0.relu"}), x)

    assert full.verdict == gap.verdict == "unknown"
    assert statuses(full, "unjudged") == ["layer1.0.relu", "layer1.0.relu_1"]
    assert statuses(gap, "unjudged") == ["layer1.0.relu", "layer1.0.conv2", "layer1.0.relu_1"]
    assert {layer.reason for layer in gap.layers if layer.status == "unjudged"} == {f"no allowance is known for {kind}"}


def test_names_of_no_layer_are_refused(expected, twin_values, x):
    """All at once, each with the id it resembles: a name that is not known is neither extra nor ignored."""
    values = {INPUT: x, "layer1.0.conv_1": twin_values["layer1.0.conv1"], "zzz": twin_values["fc"]}

    with pytest.raises(InputError, match=r"no such layer in the reference, got 'layer1\.0\.conv_1'") as caught:
        judge_trace(expected, a_trace(values), x)

    notes = "\n".join(caught.value.__notes__)
    assert "expected perhaps layer1.0.conv1" in notes
    assert "got 'zzz', expected conv1 or another of its 69" in notes
    assert "map your names" in notes


def test_traces_that_cannot_be_judged_are_refused(make_resnet, expected, twin_values, x):
    """Two precisions, no layer of the part, and an expected network that is saved, of another input or training."""
    mixed = {INPUT: x, **twin_values, "fc": twin_values["fc"].astype(float)}
    with pytest.raises(InputError, match="got values of float32 and float64, expected float32 or float64 throughout"):
        judge_trace(expected, a_trace(mixed), x)
    with pytest.raises(InputError, match="nothing to compare, got no layer within layer1, expected at least one"):
        judge_trace(expected, a_trace({INPUT: x, "fc": twin_values["fc"]}), x, until="layer1")
    saved = replace(expected, ops=tuple(replace(op, run=None) for op in expected.ops))
    with pytest.raises(InputError, match="comes from a file, and its operations cannot be run again"):
        judge_trace(saved, a_trace(twin_values), x)
    with pytest.raises(InputError, match="was captured on another input than the one that was given"):
        judge_trace(expected, a_trace(twin_values), x + 1)
    with pytest.raises(InputError, match="20 layers of the expected network are in training mode, the first bn1"):
        judge_trace(capture(make_resnet().train(), x), a_trace(twin_values), x)


def test_progress_names_each_layer(expected, twin_values, x):
    """`on_layer` hears of every expected layer, in order."""
    heard = []

    judge_trace(expected, a_trace({INPUT: x, "fc": twin_values["fc"]}), x, on_layer=heard.append)

    assert heard == [op.layer for op in expected.ops]
