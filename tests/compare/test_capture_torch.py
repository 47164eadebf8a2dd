"""Capture of torch networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18, resnet50, resnext50_32x4d
from torchvision.models.feature_extraction import get_graph_node_names

from layerdiff.compare.capture import capture, capture_to_the_end
from layerdiff.compare.capture_torch import record_torch
from layerdiff.compare.playback import Playback, run
from layerdiff.compare.torch_facts import imprint_of
from layerdiff.errors import InputError


@pytest.mark.parametrize("build", [resnet18, resnet50, resnext50_32x4d])
def test_ids_are_torchvisions(build):
    """The layer ids are those of torchvision's feature extraction, in its order."""
    network = build().eval()
    expected = [name for name in get_graph_node_names(network)[1] if name != "x"]

    trace = capture(network, np.ones((1, 3, 33, 33), np.float32))

    assert expected == [op.layer for op in trace.ops]


def test_playing_the_operations_gives_the_forward_pass(make_resnet, x):
    """Running the recorded operations again, one by one, gives the network's own output, bit for bit."""
    network = make_resnet()
    trace = capture(network, x)
    playback = Playback(trace.ops, x, watched=[trace.final])

    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()

    assert np.array_equal(expected, playback.take(trace.final))
    assert np.array_equal(expected, trace.returned)
    assert trace.returned_by == trace.final == "fc"


def test_values_are_copies_in_place_or_not(make_resnet, x):
    """An in-place ReLU does not change the batch norm's recorded output (L1)."""
    plain, in_place = make_resnet(), make_resnet()
    for module in in_place.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True

    expected, actual = (capture(network, x, keep=True) for network in (plain, in_place))

    assert (actual.values["bn1"] < 0).any()
    assert all(np.array_equal(expected.values[k], actual.values[k]) for k in expected.values)
    assert len(expected.values) == len(expected.ops)


def test_an_in_place_operation_can_be_run_again(x):
    """An in-place operation is known as such, and running it again does not change its input."""
    trace = capture(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)), x)
    given = np.full((1, 4, 3, 3), -1.0, np.float32)

    output = run(trace.ops[1], [given])

    assert [op.in_place for op in trace.ops] == [False, True]

    assert (given == -1).all()
    assert (output == 0).all()


def test_the_callers_array_stays_as_it_was():
    """A network that changes its input in place does not change the caller's array."""
    x = np.full((1, 1, 2, 2), -1.0, np.float32)

    capture(nn.Sequential(nn.ReLU(inplace=True)), x)

    assert (x == -1).all()


def test_nothing_of_the_network_stays_changed(make_resnet, x):
    """Hooks, mode and running statistics are afterwards as they were, in training mode too."""
    network = make_resnet().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    trace = capture(network, x.repeat(2, axis=0))
    trace.ops[1].run(trace.ops[0].run(x))

    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())
    assert network.training


class _Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        self.conv(x)
        raise RuntimeError("no further")


def test_hooks_are_removed_after_an_exception(x):
    """A forward that raises leaves no hook behind."""
    network = _Raises()

    with pytest.raises(RuntimeError, match="no further"):
        capture(network, x)

    assert not network.conv._forward_hooks
    assert not network._forward_hooks


class _Catches(nn.Module):
    def __init__(self):
        super().__init__()
        self.broken = _Raises()
        self.relu = nn.ReLU()

    def forward(self, x):
        try:
            self.broken(x)
        except RuntimeError:
            x = x + 1
        return self.relu(x)


def test_what_follows_a_caught_exception_is_recorded(x):
    """A network that catches what its module raises, and goes on, is recorded to its end."""
    trace = capture(_Catches(), x)

    assert [op.layer for op in trace.ops][-2:] == ["add", "relu"]
    assert trace.returned_by == "relu"


class _Counts(nn.BatchNorm2d):
    def forward(self, x):
        self.num_batches_tracked.add_(1)
        return super().forward(x) + torch.rand(()) * 0


def test_buffers_and_random_state_stay_as_they_were(x):
    """Also in eval mode, and when an operation is run again: buffers and torch's random state do not change."""
    network = nn.Sequential(_Counts(3)).eval()
    before = torch.random.get_rng_state()

    trace = capture(network, x)
    trace.ops[0].run(x)
    trace.ops[0].run(x.astype(np.float64))

    assert network[0].num_batches_tracked == 0
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_network_in_inference_mode_is_recorded(x):
    """A forward under torch.inference_mode is recorded like any other."""

    class Inference(_Functional):
        def forward(self, x):
            with torch.inference_mode():
                return super().forward(x)

    assert len(capture(Inference(), x).ops) == 6


class _Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.scale = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x):
        y = nn.functional.relu(self.conv(x))
        y = y * self.scale
        y += x
        return torch.flatten(y, 1).add(1)


def test_functions_operators_and_methods_are_operations(x):
    """Functional calls, operators, in-place forms and methods are recorded by the function's plain name."""
    trace = capture(_Functional(), x)

    assert [op.layer for op in trace.ops] == ["conv", "relu", "mul", "add", "flatten", "add_1"]
    assert [op.inputs for op in trace.ops][3] == ("mul", "input")
    assert trace.ops[4].attributes == {"start_dim": 1, "end_dim": -1}


def test_operations_run_in_the_precision_of_their_input(x):
    """Given float64, an operation computes in float64: its weights and constants are cast, the network's are not."""
    network = _Functional()
    trace = capture(network, x)
    playback = Playback(trace.ops, x.astype(np.float64), watched=[trace.final])

    output = playback.take(trace.final)

    with torch.no_grad():
        expected = network.double()(torch.from_numpy(x).double()).numpy()
    assert output.dtype == np.float64
    assert np.array_equal(expected, output)


def test_each_operation_knows_its_line(x):
    """The source of an operation is the line of the network's code that calls it."""
    trace = capture(_Functional(), x)

    file, line = trace.ops[1].source.rsplit(":", 1)
    assert file == __file__
    assert "relu" in Path(file).read_text().splitlines()[int(line) - 1]


@pytest.mark.parametrize(
    ("until", "last"), [("layer1", "layer1.1.relu_1"), ("bn1", "bn1"), ("layer2.0.add", "layer2.0.add")]
)
def test_until_stops_there(make_resnet, x, until, last):
    """With `until` the trace ends with the last operation of that part."""
    assert capture(make_resnet(), x, until=until).final == last


class _Halves(nn.Module):
    def forward(self, x):
        return x.chunk(3, dim=1)


def test_each_part_of_a_tuple_is_an_operation(x):
    """What gives several tensors is one operation for each of them, and each can be run again."""

    class Sums(nn.Module):
        def __init__(self):
            super().__init__()
            self.halves = _Halves()

        def forward(self, x):
            first, second, _ = self.halves(x)
            return first - second

    trace = capture(Sums(), x)

    assert [op.layer for op in trace.ops] == ["halves.chunk", "halves.chunk_1", "halves.chunk_2", "sub"]
    assert trace.ops[3].inputs == ("halves.chunk", "halves.chunk_1")
    assert np.array_equal(trace.ops[1].run(x), x[:, 1:2])


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda y: (y, y + 1), "a tuple of 2: item 0 is the output of relu, item 1 is the output of add"),
        (lambda y: {"logits": y, "loss": None}, "a dict of 2: 'logits' is the output of relu"),
        (lambda y: None, "nothing (None)"),
        (lambda y: 7, "a int"),
    ],
    ids=["tuple", "dict", "nothing", "number"],
)
def test_what_is_no_tensor_is_described(x, give, words):
    """A network that returns something else than one tensor is recorded, and what it returns is said."""

    class Gives(nn.Module):
        def forward(self, x):
            return give(F.relu(x))

    trace = capture(Gives(), x)

    assert (trace.returned, trace.returned_by, trace.returned_as) == (None, None, words)


class _OwnConv(nn.Module):
    """A convolution out of patches and a product of matrices."""

    def __init__(self, size=3):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, size, 3, 3))
        self.b = nn.Parameter(torch.randn(4))

    def forward(self, x):
        n, _, h, w = x.shape
        patches = F.unfold(x, 3, padding=1)
        return (self.kernel.view(4, -1) @ patches).view(n, 4, h, w) + self.b.view(1, -1, 1, 1)


def test_somebodys_own_layer_is_one_operation(x):
    """A class that builds one layer out of arithmetic is that layer, its inside can be opened, and it runs again."""
    network = nn.Sequential(_OwnConv(), nn.ReLU()).eval()

    trace = capture(network, x)

    assert [(op.layer, op.kind) for op in trace.ops] == [("0", "conv2d"), ("1", "relu")]
    assert dict(trace.ops[0].keys) == {"weight": "0.kernel", "bias": "0.b"}
    assert trace.ops[0].inner[0].kind == "unfold"
    with torch.no_grad():
        assert np.array_equal(trace.ops[0].run(x), network[0](torch.from_numpy(x)).numpy())
        expected = network[0].double()(torch.from_numpy(x).double()).numpy()
    network[0].float()
    assert np.array_equal(trace.ops[0].run(x.astype(np.float64)), expected)


class _Block(nn.Module):
    """Layers in a plain list, one made on the way, one called by keyword, one past its hooks, one by its weight."""

    def __init__(self):
        super().__init__()
        self.hidden = [nn.Conv2d(3, 4, 1)]
        self.past = nn.Conv2d(4, 4, 1)
        self.by_weight = nn.Conv2d(4, 4, 3)

    def forward(self, x):
        x = self.hidden[0](x)
        x = nn.ReLU()(input=x)
        x = self.past.forward(x)
        return F.conv2d(x, self.by_weight.weight, None, 2, padding=1)


def test_layers_are_seen_however_they_are_called(x):
    """Unregistered modules, modules made on the way, keyword calls, `.forward()`, functions on a module's weight."""
    trace = capture(_Block(), x)

    assert [(op.layer, op.kind) for op in trace.ops] == [
        ("Conv2d", "conv2d"), ("ReLU", "relu"), ("past", "conv2d"), ("by_weight", "conv2d"),
    ]  # fmt: skip
    assert trace.ops[3].attributes["stride"] == (2, 2)
    assert trace.used == {"past.weight", "past.bias", "by_weight.weight"}


def test_an_assignment_into_a_slice_is_an_operation(x):
    """`y[:, 0] = x` changes y, and what takes y afterwards takes what was assigned."""

    class Assigns(nn.Module):
        def forward(self, x):
            y = F.relu(x)
            y[:, :1] = x[:, :1]
            return y + 1

    trace = capture(Assigns(), x)

    assert [op.kind for op in trace.ops] == ["relu", "getitem", "setitem", "add"]
    assert trace.ops[3].inputs == (trace.ops[2].layer,)
    y = np.maximum(x, 0)
    y[:, :1] = x[:, :1]
    assert np.array_equal(trace.ops[2].run(np.maximum(x, 0), x[:, :1].copy()), y)


def test_a_value_that_leaves_a_layer_opens_it(x):
    """A class of one's own whose inside is used elsewhere is not one operation, and nothing is lost."""

    class Leaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(3, 3, 1, 1))

        def forward(self, x):
            self.patches = F.unfold(x, 1)
            return (self.kernel.view(3, -1) @ self.patches).view(x.shape)

    class Uses(nn.Module):
        def __init__(self):
            super().__init__()
            self.leaks = Leaks()

        def forward(self, x):
            return self.leaks(x) + self.leaks.patches.view(x.shape)

    trace = capture(Uses(), x)

    assert [op.layer for op in trace.ops] == ["leaks.unfold", "leaks.matmul", "leaks.view", "view", "add"]


def test_a_crash_is_recorded_where_it_is(x):
    """With `survive` a forward pass that raises gives what ran before it, and the operation, shapes and line."""

    class Crashes(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.fc = nn.Linear(7, 2)

        def forward(self, x):
            x = self.conv(x)
            return self.fc(x.flatten(1))

    recording = record_torch(Crashes(), x, survive=True)

    assert [op.layer for op in recording.ops] == ["conv", "flatten"]
    crash = recording.crash
    assert (crash.layer, crash.kind, crash.error) == ("fc", "linear", "RuntimeError")
    assert crash.input_shapes == ((1, 4 * x.shape[2] * x.shape[3]),)
    assert crash.parameter_shapes["weight"] == (2, 7)
    assert "self.fc(x.flatten(1))" in Path(__file__).read_text().splitlines()[int(crash.source.rsplit(":", 1)[1]) - 1]


class _Frozen(nn.Module):
    """A batch norm whose scale and shift are computed on the way, and a kernel that is scaled."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm2d(3)
        self.kernel = nn.Parameter(torch.randn(3, 3, 1, 1))
        self.bn.running_var.uniform_(0.1, 2.0)

    def forward(self, x):
        scale = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        x = F.conv2d(x, self.kernel * scale.view(-1, 1, 1, 1))
        return x + (self.bn.bias - self.bn.running_mean * scale).view(1, -1, 1, 1)


def test_what_is_made_of_parameters_is_made_again_in_float64(x):
    """A scale computed from a variance has float64's digits in float64, not those of the float32 it was made in."""
    network = _Frozen().eval()
    trace = capture(network, x)

    playback = Playback(trace.ops, x.astype(np.float64), watched=[trace.final])

    output = playback.take(trace.final)
    with torch.no_grad():
        expected = network.double()(torch.from_numpy(x).double()).numpy()
    assert np.array_equal(output, expected)


def _hidden(change):
    class Hides(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            x = self.conv(x)
            change(x)
            return F.relu(x)

    return Hides().eval()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.data.mul_(1 + 1e-5),
        lambda x: np.multiply(x.detach().numpy(), 2, out=x.detach().numpy()),
        lambda x: x.view(-1)[3].fill_(7.0),
    ],
    ids=["data", "NumPy", "view"],
)
def test_what_is_written_unseen_is_noticed(x, change):
    """A value that is not, when it is used, what it was when it was made: both operations are named."""
    trace = capture(_hidden(change), x)

    assert trace.unseen[0].startswith("what conv gave is not what relu takes: it was written to in between")


def test_an_input_that_is_written_unseen_is_noticed(x):
    """What a network does to its input behind the capture's back is noticed as well."""

    class Hides(nn.Module):
        def forward(self, x):
            x.data.mul_(1 + 1e-5)
            return F.relu(x)

    assert capture(Hides(), x).unseen[0].startswith("what input gave is not what relu takes")


def test_random_draws_and_looks_at_values_are_noticed(x):
    """A network that draws random numbers, or looks at a value to choose its way, is known to; any other is not."""

    class Draws(nn.Module):
        def forward(self, x):
            return F.relu(x) if torch.rand(1).item() >= 0 else x

    class Looks(nn.Module):
        def forward(self, x):
            return F.relu(x) if x.max() > -1e9 else x

    class Neither(nn.Module):
        def forward(self, x):
            return F.relu(x)

    traces = [capture(network, x) for network in (Draws(), Looks(), Neither())]

    assert [trace.random for trace in traces] == [True, False, False]
    assert [bool(trace.looks) for trace in traces] == [False, True, False]


def test_a_buffer_that_is_bound_anew_is_bound_back(x):
    """A forward that puts another tensor in a buffer's place returns its own values, and has its old buffer after."""

    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("last", torch.zeros(0))

        def forward(self, x):
            out = F.relu(x)
            self.last = out.detach()
            return out

    network = Keeps()
    trace = capture(network, x)

    assert np.array_equal(trace.returned, np.maximum(x, 0))
    assert network.last.shape == (0,)


def test_a_layer_called_input_is_not_the_input(x):
    """A layer may have any name, that of the network's input too."""

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.input = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return F.relu(self.input(x))

    trace = capture(Named(), x)

    assert [(op.layer, op.inputs) for op in trace.ops] == [("input_1", ("input",)), ("relu", ("input_1",))]


def test_a_hook_that_changes_what_a_layer_is_given_is_part_of_it(x):
    """A pre-hook of the network's own belongs to its layer, which takes what was given before it."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    network[0].register_forward_pre_hook(lambda module, args: (args[0] * 2,))

    trace = capture(network, x)

    assert [(op.layer, op.kind, op.inputs) for op in trace.ops] == [("0", "conv2d", ("input",)), ("1", "relu", ("0",))]
    with torch.no_grad():
        assert np.array_equal(trace.ops[0].run(x), network[0](torch.from_numpy(x)).numpy())


def test_no_hook_is_left_anywhere(x):
    """Hooks are on no module while it runs, and none stays behind for modules in general, also after an exception."""
    from torch.nn.modules import module as machinery

    class Looks(nn.Module):
        def forward(self, x):
            assert not self._forward_hooks
            raise RuntimeError("seen")

    with pytest.raises(RuntimeError, match="seen"):
        capture(nn.Sequential(Looks()), x)

    assert not machinery._global_forward_hooks
    assert not machinery._global_forward_pre_hooks
    assert not machinery._global_forward_hooks_with_kwargs
    assert not machinery._global_forward_hooks_always_called


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((3, 8, 8), np.float32), r"input: wrong shape, got \(3, 8, 8\), expected \(n, c, h, w\)"),
        (np.zeros((1, 3, 8, 8), np.int64), "input: wrong dtype, got int64, expected float32"),
        (np.zeros((0, 3, 8, 8), np.float32), r"input: empty, got shape \(0, 3, 8, 8\)"),
        (np.full((1, 1, 2, 2), np.nan, np.float32), "input: 4 of 4 values are not finite"),
        ([1.0], "input: wrong shape, got list"),
    ],
)
def test_unusable_inputs_are_refused(bad, message):
    """What no image network takes is refused in one line."""
    with pytest.raises(InputError, match=message):
        capture(nn.Identity(), bad)


def test_what_is_no_network_is_refused(x):
    """An object that is no network is refused by its type."""
    with pytest.raises(InputError, match="capture: not a network, got dict, expected a torch or NumPy network"):
        capture({}, x)


def test_a_network_that_runs_nothing_is_refused(x):
    """A network in which no operation runs is refused: an empty trace must never be compared."""

    class Nothing(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential()

        def forward(self, x):
            return x

    with pytest.raises(InputError, match="no operation ran"):
        capture(Nothing(), x)


LAYOUTS = {
    "unfold": lambda x: x.unfold(2, 2, 1),
    "unfold twice": lambda x: x.unfold(2, 2, 2).unfold(3, 2, 2),
    "every third": lambda x: x[..., ::3],
    "one column": lambda x: x[..., 1:2],
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "permuted": lambda x: x.permute(0, 2, 3, 1),
    "expanded": lambda x: x[:, :1].expand(-1, 5, -1, -1),
    "one number many times": lambda x: x[0, 0, 0, 0].expand(3, 4),
    "strided over itself": lambda x: x.as_strided((2, 3), (1, 1), 5),
    "one with odd strides": lambda x: x.as_strided((1, 1, 1, 1), (9, 7, 5, 3), 3),
    "one with a stride": lambda x: x.as_strided((1,), (4,), 1),
    "empty": lambda x: x[:, :0],
    "empty with odd strides": lambda x: x.as_strided((0, 3), (9, 9)),
    "a number": lambda x: x.sum(),
    "half of float16": lambda x: x.half()[..., 1:],
    "bfloat16": lambda x: x.bfloat16().unfold(3, 3, 2),
    "truth values": lambda x: x > 0,
    "conjugated": lambda x: torch.complex(x, x).conj(),
    "negated": lambda x: torch.complex(x, x).conj().imag,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_any_layout_of_memory_has_an_imprint(layout):
    """However a tensor lies in memory it has an imprint, the same each time, and another once a value changes."""
    values = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32))
    tensor, other = layout(values), layout(values + 1)

    assert imprint_of(tensor) == imprint_of(tensor)
    assert tensor.numel() == 0 or imprint_of(tensor) != imprint_of(other)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_any_layout_of_memory_is_captured(layout, x):
    """A network whose values lie in memory in any way at all is captured, with the values that it has."""
    trace = capture(_Inside(layout), x, keep=True)

    assert trace.ops[-1].layer == trace.final
    assert np.array_equal(trace.returned, x + 1)


class _Inside(nn.Module):
    """Makes a tensor of the layout to be tried, and returns something that can be judged."""

    def __init__(self, layout):
        super().__init__()
        self.layout = layout

    def forward(self, x):
        torch.isnan(self.layout(x))
        return x + 1


def test_operations_in_bfloat16_run_again_as_they_ran(x):
    """What runs in bfloat16 is held in float32, without any loss, and playing it gives the forward pass to the bit."""
    network = nn.Sequential(_To(torch.bfloat16), nn.Conv2d(3, 4, 3).bfloat16(), nn.ReLU(), _To(torch.float32))

    trace = capture(network.eval(), x, keep=True)

    assert [op.dtype for op in trace.ops] == ["bfloat16", "bfloat16", "bfloat16", "float32"]
    assert all(value.dtype == np.float32 for value in trace.values.values())
    assert np.array_equal(Playback(trace.ops, x, watched=[trace.final]).take(trace.final), trace.returned)
    assert not trace.unseen


def test_an_operation_in_bfloat16_runs_in_float32_on_what_bfloat16_has_not(x):
    """Given numbers that are none of bfloat16, an operation runs in the precision of these, as any other does."""
    network = nn.Sequential(_To(torch.bfloat16), nn.Conv2d(3, 4, 3).bfloat16(), _To(torch.float32)).eval()
    conv = capture(network, x).ops[1]
    with torch.no_grad():
        expected = network[1].float()(torch.from_numpy(x)).numpy()

    assert np.array_equal(run(conv, [x]), expected)


class _To(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype)


class Conv2d(nn.Module):
    """Somebody's own, which refuses what it is given before it computes anything."""

    def __init__(self, *, looks):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 3, 3, 3))
        self.looks = looks

    def forward(self, x):  # noqa: D102
        if self.looks:
            x = x * 2
        raise ValueError("not like this\nand more")


def test_an_own_layer_that_refuses_its_input_is_the_operation_that_raised(x):
    """A layer of one's own that raises in Python, before anything ran in it, is the operation that raised."""
    trace, crash = capture_to_the_end(nn.Sequential(nn.ReLU(), Conv2d(looks=False)), x)

    assert (crash.layer, crash.kind, crash.error, crash.message) == ("1", "conv2d", "ValueError", "not like this")
    assert crash.parameter_shapes == {"weight": (4, 3, 3, 3)}
    assert [op.kind for op in trace.ops] == ["relu", "conv2d"]


def test_an_own_layer_that_raises_half_way_is_not_taken_for_one_operation(x):
    """Where something ran in it already, what ran is recorded, and the layer is not."""
    trace, crash = capture_to_the_end(nn.Sequential(nn.ReLU(), Conv2d(looks=True)), x)

    assert crash.layer == ""
    assert [op.kind for op in trace.ops] == ["relu", "mul"]
