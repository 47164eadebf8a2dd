"""The comparison of two networks: right layer, right status, no false alarm."""

from __future__ import annotations

import copy
import dataclasses
import types

import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.compare.capture import capture
from layerdiff.compare.check import compare_networks
from layerdiff.compare.judge import judge
from layerdiff.compare.probe import dense_probe
from layerdiff.compare.render.words import answer
from layerdiff.compare.trace import Trace
from layerdiff.compare.yardstick import generator
from layerdiff.errors import InputError


def blamed(report):
    """What is at fault, and what is too many."""
    return [layer.layer for layer in report.layers if layer.status in {"fault", "missing"}] + [
        extra.layer for extra in report.extra
    ]


def descendants(report, roots):
    """The layers that take, directly or not, what `roots` give."""
    reached = set(roots)
    for layer in report.layers:
        if reached & set(layer.inputs):
            reached.add(layer.layer)
    return reached - set(roots)


def assert_blames(report, *layers):
    """Exactly these are at fault, all their descendants inherit, and everything else is same."""
    assert report.verdict == "different"
    assert blamed(report) == list(layers)
    inherited = {layer.layer for layer in report.layers if layer.status == "inherited"}
    assert inherited == descendants(report, layers)
    assert all(layer.status in {"same", "inherited", "fault", "missing"} for layer in report.layers)


def test_a_copy_is_same_in_every_layer(make_resnet, x):
    """A network is the same as its copy: every layer, three probes, two precisions, nothing skipped."""
    report = compare_networks(make_resnet(), make_resnet(), x)

    assert report.verdict == "same"
    assert len(report.layers) == 69
    kinds = {(measure.probe, measure.dtype) for measure in report.layers[0].measures}
    assert len(kinds) == 6
    assert all(len(layer.measures) == 6 for layer in report.layers)
    assert all(measure.ratio == 0 for layer in report.layers for measure in layer.measures)


def test_other_kernels_are_same_and_not_equal(make_resnet, x):
    """Channels-last kernels round differently somewhere, and stay well within the allowance."""
    report = compare_networks(make_resnet(), make_resnet().to(memory_format=torch.channels_last), x)

    ratios = [m.ratio for layer in report.layers for m in layer.measures]
    assert report.verdict == "same"
    assert 0 < max(ratios) < 0.6


@pytest.mark.parametrize("name", ["conv1", "layer2.0.conv1", "layer4.1.conv2"])
def test_one_weight_in_a_hundredth_is_at_fault(make_resnet, x, name):
    """One weight of one convolution changed by a hundredth: exactly that layer is at fault, all later ones inherit."""
    actual = make_resnet()
    weight = actual.get_submodule(name).weight.data.view(-1)
    weight[int(np.random.default_rng(0).integers(weight.numel()))] *= 1.01

    assert_blames(compare_networks(make_resnet(), actual, x), name)


@pytest.mark.parametrize("tensor", ["weight", "bias", "running_mean", "running_var"])
def test_one_value_of_a_batch_norm_in_a_hundredth_is_at_fault(make_resnet, x, tensor):
    """One value of each tensor of a batch norm changed by a hundredth: exactly that layer is at fault."""
    actual = make_resnet()
    with torch.no_grad():
        getattr(actual.layer3[0].bn2, tensor)[17] *= 1.01

    assert_blames(compare_networks(make_resnet(), actual, x), "layer3.0.bn2")


def test_another_eps_is_at_fault(make_resnet, x):
    """Eps 1e-3 for 1e-5 in one batch norm is at fault there, and the evidence names it."""
    actual = make_resnet()
    actual.layer1[0].bn2.eps = 1e-3

    report = compare_networks(make_resnet(), actual, x)

    assert_blames(report, "layer1.0.bn2")
    assert next(layer for layer in report.layers if layer.status == "fault").differences == (
        "eps: got 0.001, expected 1e-05",
    )


def test_a_moved_stride_is_at_fault_in_both_convolutions(make_resnet, x):
    """Stride on the second convolution instead of the first: both are at fault, by their shape."""
    actual = make_resnet()
    actual.layer2[0].conv1.stride, actual.layer2[0].conv2.stride = (1, 1), (2, 2)

    report = compare_networks(make_resnet(), actual, x)

    assert_blames(report, "layer2.0.conv1", "layer2.0.conv2")
    assert report.layers[[layer.layer for layer in report.layers].index("layer2.0.conv1")].reason == (
        "shape: got (1, 128, 17, 13), expected (1, 128, 9, 7)"
    )


def test_a_relu_left_out_is_missing(make_resnet, x):
    """A ReLU left out of a block that reuses one is missing, and nothing else is blamed."""
    actual = make_resnet()

    def forward(self, x):
        out = self.bn2(self.conv2(self.bn1(self.conv1(x))))
        return self.relu(out + x)

    actual.layer1[1].forward = types.MethodType(forward, actual.layer1[1])

    assert_blames(compare_networks(make_resnet(), actual, x), "layer1.1.relu")


def test_swapped_batch_norms_are_both_at_fault(make_resnet, x):
    """Two batch norms of one shape, swapped: both are at fault."""
    actual = make_resnet()
    block = actual.layer3[1]
    block.bn1, block.bn2 = block.bn2, block.bn1

    assert_blames(compare_networks(make_resnet(), actual, x), "layer3.1.bn1", "layer3.1.bn2")


def test_a_weight_hidden_by_a_dead_channel_is_at_fault(make_resnet, x):
    """A weight that multiplies only zeros on this image is found by the dense probe and is a fault."""
    expected = make_resnet()
    with torch.no_grad():
        expected.layer1[0].bn1.weight[5] = 0.0
        expected.layer1[0].bn1.bias[5] = -1.0  # the channel is dead after the ReLU
    actual = copy.deepcopy(expected)
    actual.layer1[0].conv2.weight.data[3, 5, 1, 1] *= 1.01

    report = compare_networks(expected, actual, x)

    assert_blames(report, "layer1.0.conv2")
    assert "this image does not show" in report.layers[7].reason


class _ZeroPadded(nn.MaxPool2d):
    def forward(self, x):
        return nn.functional.max_pool2d(nn.functional.pad(x, (1, 1, 1, 1)), 3, 2)


def test_a_pool_that_pads_with_zeros_is_a_note(make_resnet, x):
    """Padding a max-pool with zeros cannot be told after a ReLU: the verdict is same, with a note (D1)."""
    actual = make_resnet()
    actual.maxpool = _ZeroPadded(3, 2, 1)
    type(actual.maxpool).__name__ = "MaxPool2d"

    report = compare_networks(make_resnet(), actual, x)

    notes = [(layer.layer, note) for layer in report.layers for note in layer.notes]
    assert report.verdict == "same"
    assert [name for name, _ in notes] == ["maxpool"]
    assert notes[0][1].startswith("differs on inputs this network never gives it")


class _Half(nn.Conv2d):
    def forward(self, x):
        return super().forward(x.bfloat16().to(x.dtype)) if x.dtype == torch.float32 else super().forward(x)


def test_wrong_arithmetic_with_right_logic_is_at_fault(make_resnet, x):
    """A convolution that rounds its input to bfloat16 is at fault in float32, and float64 acquits the logic."""
    actual = make_resnet()
    actual.conv1 = _Half(3, 64, 7, 2, 3, bias=False)
    actual.conv1.load_state_dict(make_resnet().conv1.state_dict())
    type(actual.conv1).__name__ = "Conv2d"

    report = compare_networks(make_resnet(), actual.eval(), x)

    assert_blames(report, "conv1")
    assert report.layers[0].reason.endswith("float64 agrees: the arithmetic, not the logic")


class _Remembers(nn.ReLU):
    """A ReLU that adds one when it is called for the first time."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) + (self.calls == 1)


def test_an_operation_that_is_not_a_function_of_its_input_is_found(make_resnet, x):
    """A layer that gives something else when it is run again is not same: its replay does not give the forward pass."""
    type(_Remembers()).__name__ = "ReLU"
    actual, expected = make_resnet(), make_resnet()
    actual.layer4[1].relu, expected.layer4[1].relu = _Remembers(), _Remembers()
    expected.layer4[1].relu.calls = 1
    expected.fc, actual.fc = nn.Identity(), nn.Identity()

    report = compare_networks(expected, actual, x)

    assert report.verdict == "different"
    assert blamed(report) == []
    assert report.output == "its output is not what its operations give when they are run again"


UNRECORDED = "its output differs, and comes from no operation that was recorded"


def _returns(make_resnet, change):
    """A ResNet that returns what `change` makes of its logits and features."""
    network = make_resnet()

    def forward(self, x):
        features = self.avgpool(
            self.layer4(self.layer3(self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x))))))))
        )
        return change(self.fc(torch.flatten(features, 1)), features)

    network.forward = types.MethodType(forward, network)
    return network


RETURNS_TWO = (
    "it returns a tuple of 2: item 0 is the output of fc, item 1 is the output of avgpool, expected one tensor"
)


@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        (lambda y, f: y, "same", ""),
        (lambda y, f: f, "different", "its output is float32(1, 512, 1, 1), expected float32(1, 1000)"),
        (lambda y, f: torch.zeros(1, 1000), "different", UNRECORDED),
        (lambda y, f: y.sort(1)[0], "different", "its output is that of sort, expected that of fc"),
        (lambda y, f: torch.from_numpy(y.numpy() * 3), "different", UNRECORDED),
        (lambda y, f: torch.from_numpy(y.numpy().copy()), "unknown", ""),
        (lambda y, f: (y, f), "different", RETURNS_TWO),
    ],
    ids=["right", "features", "constant", "sorted", "times three", "copied", "tuple"],
)  # fmt: skip
def test_what_the_network_returns_is_compared(make_resnet, x, change, verdict, said):
    """That every layer is right does not say that the network returns what the last one gives."""
    report = compare_networks(make_resnet(), _returns(make_resnet, change), x)

    assert (report.verdict, report.output) == (verdict, said)


@dataclasses.dataclass(frozen=True)
class _Returns(Trace):
    """A trace that knows what else than one tensor its network returned."""

    returned_as: str = "a tuple of 2: item 0 is the output of fc"


def test_what_is_not_one_tensor_is_different(make_resnet, x):
    """A network that returns its logits in a tuple does not return what the expected one does; the report says it."""
    expected, actual = (capture(make_resnet(), x) for _ in range(2))
    fields = {field.name: getattr(actual, field.name) for field in dataclasses.fields(actual)}
    wrapped = _Returns(**{**fields, "returned": None, "returned_by": None})
    wrapped = dataclasses.replace(wrapped, returned_as=_Returns.returned_as)

    report = judge(expected, wrapped, x)

    assert report.verdict == "different"
    assert report.output == "it returns a tuple of 2: item 0 is the output of fc, expected one tensor"
    assert {layer.status for layer in report.layers} == {"same"}
    with pytest.raises(InputError, match="the expected network's output is not what its operations give"):
        judge(wrapped, expected, x)


def test_a_reference_that_does_not_run_again_is_refused(make_resnet, x):
    """Where the expected network's own operation raises when it is run again, nothing is judged, and it is named."""

    class Once(nn.ReLU):
        calls = 0

        def forward(self, x):
            Once.calls += 1
            if Once.calls > 1:
                raise RuntimeError("only once")
            return super().forward(x)

    expected = make_resnet()
    expected.layer3[0].relu = nn.Sequential(Once())
    trace = capture(make_resnet(), x)
    expected.layer3[0].forward = types.MethodType(type(expected.layer3[0]).forward, expected.layer3[0])

    Once.calls = -1
    found = capture(expected, x)
    with pytest.raises(
        InputError, match=r"the expected network's \S+ cannot be run again, got RuntimeError: only once"
    ):
        judge(found, trace, x)


def test_what_a_numpy_network_returns_is_compared(x):
    """The NumPy twin whose forward does more than its layers is different."""
    from layerdiff.handwritten import numpy_resnet

    expected, actual = numpy_resnet.build("resnet18"), numpy_resnet.build("resnet18")
    actual.forward = lambda x: type(actual).forward(actual, x) * 0

    assert compare_networks(expected, expected, x).verdict == "same"
    assert compare_networks(expected, actual, x).verdict == "different"


class _Clobbers(nn.Conv2d):
    def forward(self, x):
        y = super().forward(x)
        x.data.mul_(1 + 1e-5)
        return y


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64",)])
def test_a_layer_that_changes_what_it_is_given_is_at_fault(make_resnet, x, dtypes):
    """A convolution that scales its input by a hair, which the shortcut reads later, is at fault itself."""
    actual = make_resnet()
    conv = _Clobbers(64, 64, 3, 1, 1, bias=False)
    conv.load_state_dict(actual.layer1[0].conv1.state_dict())
    type(conv).__name__ = "Conv2d"
    actual.layer1[0].conv1 = conv.eval()

    report = compare_networks(make_resnet(), actual, x, dtypes=dtypes)

    assert blamed(report) == ["layer1.0.conv1"]
    assert report.layers[4].reason == "in place: changes what it is given, and gives something else"


class _Buffered(nn.ReLU):
    def __init__(self):
        super().__init__()
        self.kept = {}

    def forward(self, x):
        self.kept.setdefault((x.shape, x.dtype), torch.empty_like(x))
        return torch.clamp(x, min=0, out=self.kept[x.shape, x.dtype])


def test_a_layer_that_uses_its_output_array_again_is_same(make_resnet, x):
    """A ReLU that writes into the same array each time gives the right values, and is same."""
    actual = make_resnet()
    actual.relu = _Buffered()
    type(actual.relu).__name__ = "ReLU"

    assert compare_networks(make_resnet(), actual, x).verdict == "same"


def test_zeroing_between_layers_is_found(make_resnet, x):
    """What happens in place between layers, and is no operation, shows in what the network returns."""
    actual = make_resnet()

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out = self.relu(out + x)
        out[:] = 0
        return out

    actual.layer3[1].forward = types.MethodType(forward, actual.layer3[1])

    for dtypes in (("float32", "float64"), ("float64",)):
        assert compare_networks(make_resnet(), actual, x, dtypes=dtypes).verdict == "different"


def test_another_input_or_a_changed_reference_is_refused(make_resnet, x):
    """Traces of another input, or of a network that was changed since, are not judged."""
    network = make_resnet()
    trace = capture(network, x)

    with pytest.raises(InputError, match="was captured on another input"):
        judge(trace, trace, x * 2)
    network.fc.weight.data.mul_(2)
    with pytest.raises(InputError, match="the expected network's output is not what its operations give"):
        judge(trace, capture(make_resnet(), x), x)


def test_every_weight_of_a_kernel_meets_the_dense_probe(make_resnet):
    """On a map of one pixel eight of nine weights meet only padding; the dense probe is made large enough for them."""
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    actual = make_resnet()
    actual.layer4[1].conv2.weight.data[7, 9, 0, 0] += 1

    assert_blames(compare_networks(make_resnet(), actual, x), "layer4.1.conv2")


class _Fixed(nn.ReLU):
    def forward(self, x):
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return super().forward(x)


class _Keeps(nn.ReLU):
    """A ReLU with a tensor of its own that nobody casts: whatever it is given, it gives float32."""

    def forward(self, x):
        return torch.maximum(x.float(), torch.zeros(1))


@pytest.mark.parametrize("kind", [_Fixed, _Keeps])
def test_a_layer_that_cannot_be_cast_is_judged_in_float32_alone(make_resnet, x, kind):
    """A layer that raises in float64, or gives float32 there, is judged in float32 alone, and that is said."""
    actual = make_resnet()
    actual.relu = kind()
    type(actual.relu).__name__ = "ReLU"

    both, single, double = (
        compare_networks(make_resnet(), actual, x, dtypes=d)
        for d in (("float32", "float64"), ("float32",), ("float64",))
    )

    assert (both.verdict, single.verdict, double.verdict) == ("same", "same", "unknown")
    assert both.layers[2].notes[0].startswith("judged in float32 alone: cannot run in float64: ")
    assert [layer.layer for layer in both.layers if layer.float32_only] == ["relu"]
    assert {layer.float32_before for layer in both.layers[3:]} == {"relu"}
    assert {(m.probe, m.dtype) for m in both.layers[3].measures} >= {("activations", "float64"), ("dense", "float64")}
    assert "1 of them in float32 alone" in answer(both)


@pytest.mark.parametrize("wrong", ["conv1", "layer3.0.conv2"])
def test_a_fault_beside_a_layer_that_cannot_be_cast_is_still_found(make_resnet, x, wrong):
    """What is wrong before or behind a layer that cannot run in float64 is found all the same."""
    actual = make_resnet()
    actual.relu = _Fixed()
    type(actual.relu).__name__ = "ReLU"
    actual.get_submodule(wrong).weight.data.view(-1)[5] += 0.01

    assert blamed(compare_networks(make_resnet(), actual, x)) == [wrong]


def test_a_layer_that_cannot_be_cast_and_is_wrong_is_at_fault(make_resnet, x):
    """Judged in float32 alone is judged: a layer that gives something else there is at fault."""

    class Doubles(_Fixed):
        def forward(self, x):
            return super().forward(x) * 2

    actual = make_resnet()
    actual.relu = Doubles()
    type(actual.relu).__name__ = "ReLU"

    assert blamed(compare_networks(make_resnet(), actual, x)) == ["relu"]


def test_a_reference_that_cannot_be_cast_is_judged_in_float32_alone(make_resnet, x):
    """Where the expected network itself cannot run in float64, what is behind it is judged in float32 alone."""
    expected = make_resnet()
    expected.layer2[0].relu = _Fixed()
    type(expected.layer2[0].relu).__name__ = "ReLU"
    broken = make_resnet()
    broken.layer4[0].bn1.eps = 1.0

    report = compare_networks(expected, make_resnet(), x)

    assert report.verdict == "same"
    assert "the expected network's layer2.0.relu cannot run in float64" in report.layers[22].float32_only
    assert not any(layer.float32_only for layer in report.layers[:20])
    assert blamed(compare_networks(expected, broken, x)) == ["layer4.0.bn1"]


class _Shy(nn.Module):
    def forward(self, x):
        if torch.overrides._get_current_function_mode() is not None:
            raise RuntimeError("not supported")
        return torch.relu(x)


def test_a_network_that_cannot_be_watched_is_not_called_wrong(make_resnet, x):
    """Where the forward pass goes through unwatched, and not watched, the fault is ours: an error, not a verdict."""
    actual = make_resnet()
    actual.relu = _Shy()

    with pytest.raises(InputError, match="ResNet runs, but not while it is watched, got RuntimeError: not supported"):
        compare_networks(make_resnet(), actual, x)


def test_a_users_own_hook_is_part_of_the_network(make_resnet, x):
    """A forward hook that scales a layer's output is that layer's fault, and no other's."""
    actual = make_resnet()
    actual.layer2[0].conv1.register_forward_hook(lambda module, inputs, output: output * 1.5)

    assert_blames(compare_networks(make_resnet(), actual, x), "layer2.0.conv1")


def test_a_candidate_that_gives_nan_is_at_fault(make_resnet, x):
    """A NaN in one weight is at fault where it stands, not an error in passing."""
    actual = make_resnet()
    actual.layer4[1].conv1.weight.data[0, 0, 0, 0] = float("nan")

    report = compare_networks(make_resnet(), actual, x)

    assert_blames(report, "layer4.1.conv1")
    assert "not finite" in report.layers[[layer.layer for layer in report.layers].index("layer4.1.conv1")].reason


def test_a_reference_that_gives_nan_could_not_be_judged(make_resnet, x):
    """Where the reference itself is not finite nothing is same: NaN does not equal NaN."""
    expected = make_resnet()
    expected.layer4[1].conv1.weight.data[0, 0, 0, 0] = float("nan")

    report = compare_networks(expected, copy.deepcopy(expected), x)

    assert report.verdict == "unknown"


def test_a_candidate_that_raises_is_different(make_resnet, x):
    """A forward that raises is a finding, not an exception."""
    actual = make_resnet()
    actual.fc = nn.Linear(7, 1000)

    report = compare_networks(make_resnet(), actual.eval(), x)

    assert report.verdict == "different"
    assert report.crash.startswith("its forward pass raised RuntimeError in fc (")
    assert "shapes cannot be multiplied" in report.crash


def test_a_layer_that_raises_alone_is_at_fault(make_resnet, x):
    """A layer that raises on the expected input, though its own forward pass went through, is at fault."""
    actual = make_resnet()
    actual.layer2[0].conv1 = nn.Conv2d(64, 96, 3, 2, 1, bias=False)
    actual.layer2[0].bn1 = nn.BatchNorm2d(96)
    actual.layer2[0].conv2 = nn.Conv2d(96, 128, 3, 1, 1, bias=False)

    report = compare_networks(make_resnet(), actual.eval(), x)

    assert_blames(report, "layer2.0.conv1", "layer2.0.bn1", "layer2.0.conv2")
    assert any("crash: RuntimeError" in problem for layer in report.layers for problem in layer.problems)


def test_a_reference_in_training_mode_is_refused(make_resnet, x):
    """Nothing can be judged against batch statistics: the first layer in training mode is named."""
    with pytest.raises(InputError, match=r"20 layers of the expected network are in training mode, the first bn1"):
        compare_networks(make_resnet().train(), make_resnet(), x)


def test_nothing_to_compare_is_refused(make_resnet, x):
    """No precision to judge in is an error, never agreement."""
    trace = capture(make_resnet(), x)

    with pytest.raises(InputError, match="nothing to compare, got 69 layers in no precision"):
        judge(trace, trace, x, dtypes=())


def test_until_judges_the_part_alone(make_resnet, x):
    """A fault after the part that is judged is not seen, and the number of layers says so."""
    actual = make_resnet()
    actual.layer3[0].bn1.eps = 1.0

    report = compare_networks(make_resnet(), actual, x, until="layer2")

    assert (report.verdict, len(report.layers), report.layers[-1].layer) == ("same", 34, "layer2.1.relu_1")


def test_the_same_seed_gives_the_same_report(make_resnet, x):
    """Two runs of one comparison are equal in every figure."""
    broken = make_resnet()
    broken.layer2[1].bn1.eps = 1e-4

    assert compare_networks(make_resnet(), broken, x) == compare_networks(make_resnet(), broken, x)


def test_the_dense_probe_has_both_signs_and_no_zeros():
    """The probe shows every weight and both sides of a ReLU, and is the same numbers in every precision."""
    single, double = (dense_probe((1, 4, 50, 50), np.dtype(t), seed=1, layer="a") for t in ("float32", "float64"))

    assert np.array_equal(single, double)
    assert (np.abs(single) >= 0.5).all()
    assert (np.abs(single) <= 96).all()
    assert 0.03 < (np.abs(single) > 6).mean() < 0.04
    assert 0.45 < (single > 0).mean() < 0.55
    assert not np.array_equal(single, dense_probe((1, 4, 50, 50), np.dtype("float32"), seed=1, layer="b"))


@pytest.mark.parametrize("shape", [(1, 4, 50, 50), (2, 3, 149, 149), (5, 7)])
def test_the_dense_probe_is_drawn_as_numpy_draws(shape):
    """The probe, drawn in pieces from the bits, is what whole arrays of NumPy's float32 draws would give."""
    draws = generator(3, "a", "dense").random(shape, dtype=np.float32) - np.float32(0.5)
    plain = (draws + np.copysign(np.float32(0.5), draws)) * np.float32(1.5)
    plain.reshape(-1)[::29] *= np.float32(64)

    assert np.array_equal(dense_probe(shape, np.dtype("float32"), seed=3, layer="a"), plain)
