"""Weights carried over into networks with other names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from layerdiff.compare.capture import capture
from layerdiff.compare.foreign import propose_transfer
from layerdiff.compare.judging import tensors_of
from layerdiff.compare.transfer import Carried, Transfer, transferred
from layerdiff.compare.weights_map import map_to_json, read_map, write_map
from layerdiff.errors import InputError


class _Reference(nn.Module):
    """A block with two kernels of one shape, and a head."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.fc = nn.Linear(6, 6)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.conv2(F.relu(self.conv2(x))) + self.shortcut(x)) if self.training else x
        x = F.relu(self.conv2(x)) + self.shortcut(x)
        return self.fc(x.mean([2, 3]))


class _Other(nn.Module):
    """The same function: other names, registered backwards, kernels HWIO, a transposed square head, biases."""

    def __init__(self):
        super().__init__()
        self.head = nn.Parameter(torch.randn(6, 6))
        self.head_b = nn.Parameter(torch.randn(6))
        self.skip = nn.Conv2d(6, 6, 3, padding=1)
        self.never = nn.Linear(2, 2)
        self.main = nn.Conv2d(6, 6, 3, padding=1)
        self.gamma, self.beta = nn.Parameter(torch.ones(6)), nn.Parameter(torch.zeros(6))
        self.register_buffer("mu", torch.zeros(6))
        self.register_buffer("var", torch.ones(6))
        self.kernel = nn.Parameter(torch.randn(3, 3, 3, 6))

    def forward(self, x):
        x = F.conv2d(x, self.kernel.permute(3, 2, 0, 1), padding=1)
        x = F.relu(F.batch_norm(x, self.mu, self.var, self.gamma, self.beta))
        skip = self.skip(x)
        x = skip + F.relu(self.main(x))
        return x.mean((2, 3)) @ self.head + self.head_b


@pytest.fixture
def reference():
    """The network whose weights are carried over."""
    torch.manual_seed(0)
    network = _Reference().eval()
    for name, tensor in network.state_dict().items():
        if name.startswith("bn1") and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return network


@pytest.fixture
def x():
    """An input."""
    return np.random.default_rng(0).standard_normal((2, 3, 9, 7)).astype(np.float32)


def propose(reference, candidate, x):
    """The proposal for a candidate."""
    return propose_transfer(capture(reference, x), candidate.eval(), x, tensors_of(reference))


def test_another_network_gets_every_weight(reference, x):
    """Other names, order, layouts and biases: with what was proposed, the candidate gives the reference's output."""
    candidate = _Other()
    transfer = propose(reference, candidate, x)

    with transferred(transfer, tensors_of(reference), tensors_of(candidate)), torch.no_grad():
        output = candidate(torch.from_numpy(x))
        expected = reference(torch.from_numpy(x))

    assert torch.allclose(output, expected, rtol=0, atol=8 * float(expected.abs().max()) * 2**-23)
    places = {one.expected: (one.actual, one.axes) for one in transfer.carried}
    assert places["conv2.weight"] == ("main.weight", None)
    assert places["shortcut.weight"] == ("skip.weight", None)
    assert places["conv1.weight"] == ("kernel", (2, 3, 1, 0))
    assert places["fc.weight"] == ("head", (1, 0))
    assert places["bn1.running_var"] == ("var", None)
    assert set(transfer.zeroed) == {"main.bias", "skip.bias"}
    assert set(transfer.unused) == {"never.weight", "never.bias"}
    assert transfer.unplaced == transfer.unfilled == transfer.suspicions == ()


class _Own(nn.Module):
    """A convolution of somebody's own, whose kernel lies in an order that a square one does not tell."""

    def __init__(self, channels_in, channels_out, order):
        super().__init__()
        self.order = order
        sizes = {"O": channels_out, "I": channels_in, "H": 3, "W": 3}
        shape = [sizes[axis] for axis in order.removesuffix(" flat")]
        self.kernel = nn.Parameter(torch.randn(shape))
        if order.endswith("flat"):
            self.kernel = nn.Parameter(torch.randn(9 * channels_in, channels_out))
        self.sizes = sizes

    def forward(self, x):
        n, _, h, w = x.shape
        order = self.order.removesuffix(" flat")
        kernel = self.kernel.reshape([self.sizes[axis] for axis in order])
        matrix = kernel.permute([order.index(axis) for axis in "OIHW"]).reshape(self.sizes["O"], -1)
        return (matrix @ F.unfold(x, 3, padding=1)).view(n, -1, h, w)


def _with_own(order):
    class Own(_Other):
        def __init__(self):
            super().__init__()
            self.first, self.main, self.skip = _Own(3, 6, order), _Own(6, 6, order), _Own(6, 6, order)
            self.kernel = None

        def forward(self, x):
            x = F.relu(F.batch_norm(self.first(x), self.mu, self.var, self.gamma, self.beta))
            return (self.skip(x) + F.relu(self.main(x))).mean((2, 3)) @ self.head + self.head_b

    return Own()


@pytest.mark.parametrize("order", ["OIHW", "IOHW", "HWIO", "IHWO flat", "HWIO flat"])
def test_a_layout_that_no_shape_tells_is_found_by_trying(reference, x, order):
    """A square kernel in a class of one's own lies as the others do; one run together to a matrix as it must."""
    candidate = _with_own(order)
    transfer = propose(reference, candidate, x)

    with transferred(transfer, tensors_of(reference), tensors_of(candidate)), torch.no_grad():
        output = candidate(torch.from_numpy(x))
        expected = reference(torch.from_numpy(x))

    assert torch.allclose(output, expected, rtol=0, atol=32 * float(expected.abs().max()) * 2**-23)
    assert transfer.unplaced == transfer.unfilled == ()


def test_height_and_width_exchanged_is_no_layout(reference, x):
    """A convolution of one's own that exchanges height and width is not made right by turning its kernel round."""
    transfer = propose(reference, _with_own("OIWH"), x)

    assert {one.axes for one in transfer.carried if one.actual.endswith("kernel")} == {None}


def test_the_candidate_gets_its_own_weights_back(reference, x):
    """After the comparison, and after an exception, the candidate holds the very bits it held before."""
    candidate = _Other()
    before = {name: tensor.clone() for name, tensor in candidate.state_dict().items()}
    transfer = propose(reference, candidate, x)

    def fail():
        with transferred(transfer, tensors_of(reference), tensors_of(candidate)):
            assert not torch.equal(candidate.kernel, before["kernel"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert all(torch.equal(tensor, before[name]) for name, tensor in candidate.state_dict().items())


class _Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.n = nn.BatchNorm2d(6)
        self.b = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.c = nn.Linear(6, 6)

    def forward(self, x):
        x = F.relu(self.n(self.a(x)))
        return self.c((F.relu(self.b(x)) + self.b(x)).mean([2, 3]))


def test_a_layer_used_twice_is_suspected(reference, x):
    """One convolution where two belong: it gets one of the kernels, and the other is named as having no place."""
    transfer = propose(reference, _Shared(), x)

    assert len(transfer.unplaced) == 1
    assert set(transfer.unplaced) < {"conv2.weight", "shortcut.weight"}
    assert transfer.suspicions == (
        "shortcut.weight and conv2.weight both belong into b.weight: is one layer used twice?",
    )


def test_equal_names_go_first(reference, x):
    """A network with the reference's names and shapes gets its tensors by name, however it uses them."""

    class Crossed(_Reference):
        def forward(self, x):
            x = F.relu(self.bn1(self.conv1(x)))
            return self.fc((F.relu(self.shortcut(x)) + self.conv2(x)).mean([2, 3]))

    transfer = propose(reference, Crossed(), x)

    assert all(one.expected == one.actual and one.reason == "the same name" for one in transfer.carried)
    assert len(transfer.carried) == 9


def test_what_does_not_fit_is_named(reference, x):
    """A head for other classes cannot take the weights; which tensors are left over is said on both sides."""

    class Ten(_Other):
        def __init__(self):
            super().__init__()
            self.head, self.head_b = nn.Parameter(torch.randn(6, 10)), nn.Parameter(torch.randn(10))

    transfer = propose(reference, Ten(), x)

    assert transfer.unplaced == ("fc.weight", "fc.bias")
    assert transfer.unfilled == ("head", "head_b")
    assert transfer.suspicions[0] == "fc.weight (6, 6) does not fit into head (6, 10)"


def test_the_map_is_read_as_it_was_written(reference, x, tmp_path):
    """A map that was saved carries the same tensors to the same places in the same layouts."""
    transfer = propose(reference, _Other(), x)

    write_map(transfer, tmp_path / "map.json")
    again = read_map(tmp_path / "map.json")

    assert again.carried == transfer.carried
    assert again.zeroed == transfer.zeroed
    assert map_to_json(again).splitlines()[:3] == map_to_json(transfer).splitlines()[:3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a weights map"),
        ('{"format": "other", "tensors": []}', "not a weights map, got format 'other'"),
        ('{"format": "layerdiff weights map 1", "tensors": [{"expected": "a"}]}', "not a weights map"),
        (
            '{"format": "layerdiff weights map 1", "tensors": [{"expected": "a", "actual": "b"}, '
            '{"expected": "a", "actual": "c"}]}',
            "expected: 'a' stands there 2 times, expected once",
        ),
        (
            '{"format": "layerdiff weights map 1", "tensors": [{"expected": "a", "actual": "b"}], "zero": ["b"]}',
            "actual: 'b' stands there 2 times, expected once",
        ),
    ],
    ids=["empty", "format", "lacking", "one source twice", "one place twice"],
)
def test_an_unusable_map_is_refused(text, message, tmp_path):
    """A file that is no map, or that gives a tensor two places, is refused with the reason."""
    (tmp_path / "map.json").write_text(text)

    with pytest.raises(InputError, match=message):
        read_map(tmp_path / "map.json")


def test_a_missing_map_is_refused(tmp_path):
    """A map that is not there is said to be not there."""
    with pytest.raises(InputError, match="no such file"):
        read_map(tmp_path / "none.json")


def test_a_map_that_does_not_fit_names_all_that_is_wrong(reference):
    """Names that are not there and shapes that do not fit are all named at once, and nothing is changed."""
    candidate = tensors_of(_Other())
    before = {name: array.copy() for name, array in candidate.items()}
    transfer = Transfer(
        (
            Carried("conv1.weight", "kernel"),
            Carried("nothing", "kernel"),
            Carried("fc.weight", "nowhere"),
            Carried("fc.bias", "head_b", (0, 1)),
        ),
        ("void",),
    )

    with (
        pytest.raises(InputError, match="5 of 4 tensors") as error,
        transferred(transfer, tensors_of(reference), candidate),
    ):
        pass

    text = str(error.value) + "".join(error.value.__notes__)
    assert "conv1.weight (6, 3, 3, 3) does not fit into kernel (3, 3, 3, 6) as OIHW" in text
    for name in ("the expected network has no nothing", "the candidate has no nowhere", "the candidate has no void"):
        assert name in text
    assert all(np.array_equal(candidate[name], array) for name, array in before.items())


def test_parameters_that_numpy_has_no_type_for_are_refused():
    """A network held in bfloat16 is named with its tensors and what to do, before anything is carried over."""
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).to(torch.bfloat16)

    with pytest.raises(InputError, match=r"got 0\.weight \(torch\.bfloat16\) and 5 more, expected float32") as caught:
        tensors_of(network)
    assert caught.value.__notes__ == ["help: call .float() on the network"]
