"""What a NumPy layer knows of itself: parameters, buffers, shapes, work; and what it says where it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.handwritten import numpy_resnet
from layerdiff.handwritten.counting import PRODUCTS, THOP, Convention, Work
from layerdiff.handwritten.numpy_layers import (
    ELU,
    SELU,
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)

IMAGE = (2, 4, 7, 6)
LEAVES = {
    "conv": (lambda: Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2), [IMAGE]),
    "conv-same": (lambda: Conv2d(4, 6, (2, 4), padding="same", dilation=(1, 2)), [IMAGE]),
    "conv-valid": (lambda: Conv2d(4, 6, 3, 2, "valid"), [IMAGE]),
    "norm": (lambda: BatchNorm2d(4), [IMAGE]),
    "max": (lambda: MaxPool2d((3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True), [IMAGE]),
    "avg": (lambda: AvgPool2d((2, 3), padding=1, ceil_mode=True), [IMAGE]),
    "adaptive": (lambda: AdaptiveAvgPool2d((3, 4)), [IMAGE]),
    "linear": (lambda: Linear(6, 5), [(2, 4, 6)]),
    "flatten": (lambda: Flatten(1, 2), [IMAGE]),
    "dropout": (Dropout, [IMAGE]),
    "add": (Add, [IMAGE, IMAGE]),
    **{
        kind.__name__: (kind, [IMAGE])
        for kind in (ReLU, LeakyReLU, ELU, SELU, Sigmoid, Tanh)
    },
    "Softmax": (lambda: Softmax(1), [IMAGE]),
    "LogSoftmax": (lambda: LogSoftmax(-1), [IMAGE]),
}  # fmt: skip


class Block(Layer):
    """A residual block in which one activation is used twice."""

    def __init__(self):
        super().__init__()
        self.conv = Conv2d(3, 3, 3, padding=1)
        self.bn = BatchNorm2d(3)
        self.relu = ReLU()
        self.add = Add()

    def forward(self, x):
        """`x` of 3 channels in, the same shape out."""
        return self.relu(self.add(self.relu(self.bn(self.conv(x))), x))


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_shape_said_is_the_shape_given(leaf):
    """For every layer, with arguments off their defaults, `output_shape` is the shape of the real output."""
    make, shapes = LEAVES[leaf]
    layer = make()
    inputs = [np.ones(shape, dtype=np.float32) for shape in shapes]
    assert layer.output_shape(*shapes) == layer(*inputs).shape
    assert isinstance(layer.work(*shapes), Work)


def test_every_layer_is_tested():
    """All layers of the module stand in the table above."""
    from layerdiff.handwritten import numpy_layers

    tested = {type(make()).__name__ for make, _ in LEAVES.values()}
    assert tested == set(numpy_layers.__all__) - {"Layer", "Sequential"}


@pytest.mark.parametrize(
    "layer",
    [Conv2d(4, 6, (3, 2), (2, 1), dilation=(1, 2), groups=2, bias=False), Conv2d(4, 3, 5, bias=False)],
    ids=["grouped", "plain"],
)
def test_products_are_those_that_are_summed(layer):
    """Of ones only, a convolution without padding gives in each output the number of its products."""
    layer.weight = np.ones_like(layer.weight)
    assert layer.work(IMAGE) == Work(products=int(layer(np.ones(IMAGE, dtype=np.float32)).sum()))
    assert layer.multiply_adds(IMAGE) == layer.work(IMAGE).products


def test_the_terms_of_the_work():
    """Biases, norms, poolings and linear maps, counted by hand."""
    assert Conv2d(4, 6, 3, padding="same").work(IMAGE) == Work(products=2 * 6 * 42 * 36, conv_biases=2 * 6 * 42)
    assert Linear(6, 5).work((2, 4, 6)) == Work(products=2 * 4 * 6 * 5, linear_biases=2 * 4 * 5)
    assert Linear(6, 5, bias=False).work((2, 6)) == Work(products=60)
    assert BatchNorm2d(4).work(IMAGE) == Work(normalised=2 * 4 * 42)
    assert AvgPool2d((2, 3)).work(IMAGE) == Work(averaged=2 * 4 * 3 * 2, averaged_taps=2 * 4 * 3 * 2 * 6)
    # Rows 0-3, 2-5, 4-7; columns 0-2, 1-3, 3-5, 4-6: 9 rows and 8 columns in all windows.
    assert AdaptiveAvgPool2d((3, 4)).work(IMAGE) == Work(adaptive=2 * 4 * 12, adaptive_taps=2 * 4 * 9 * 8)
    for quiet in (ReLU(), MaxPool2d(2), Flatten(), Dropout()):
        assert quiet.work(IMAGE) == Work()
    assert Add().work(IMAGE, IMAGE) == Work()


def test_work_adds_up_and_is_weighed():
    """A network's work is its layers', each time they run; a convention multiplies each term by its weight."""
    block, shape = Block(), (2, 3, 5, 4)
    assert block.work(shape) == Conv2d(3, 3, 3, padding=1).work(shape) + BatchNorm2d(3).work(shape)
    assert block.work(shape) == Work(products=2 * 3 * 20 * 27, conv_biases=120, normalised=120)
    assert block.multiply_adds(shape) == 3240
    assert block.multiply_adds(shape, convention=THOP) == 3240 + 120 + 2 * 120
    everything = Convention("all", Work(*[10**place for place in range(8)]))
    assert everything.multiply_adds(Work(*range(1, 9))) == 87654321
    assert Conv2d(3, 3, 3).multiply_adds((1, 3, 3, 3), convention=PRODUCTS) == 81


def torch_twin():
    """The torch network of `numpy_twin`."""
    return nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.ReLU(), nn.Linear(4, 3))


def numpy_twin():
    """A convolution, a batch norm, a linear map, with a layer within a layer."""
    return Sequential(Sequential(Conv2d(1, 2, 3), BatchNorm2d(2)), ReLU(), Linear(4, 3))


def test_parameters_are_torchs():
    """Names, order and shapes as torch's `named_parameters`; running estimates are buffers, counters neither."""
    ours, theirs = numpy_twin(), torch_twin()
    assert [(name, array.shape) for name, array in ours.named_parameters("net")] == [
        (name, tuple(tensor.shape)) for name, tensor in theirs.named_parameters(prefix="net")
    ]
    assert [name for name, _ in ours.named_buffers()] == ["0.1.running_mean", "0.1.running_var"]
    assert ours.parameter_count() == sum(tensor.numel() for tensor in theirs.parameters())
    assert ours.buffer_count() == 4


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_whole_networks_parameters_are_torchs(name, torchvision_blank):
    """All of ResNet, in torchvision's order."""
    ours, theirs = numpy_resnet.build(name), torchvision_blank(name)
    assert [(key, array.shape) for key, array in ours.named_parameters()] == [
        (key, tuple(tensor.shape)) for key, tensor in theirs.named_parameters()
    ]
    assert [name for name, _ in ours.named_buffers()] == [
        key for key, _ in theirs.named_buffers() if not key.endswith("num_batches_tracked")
    ]


def test_parameters_are_the_very_arrays():
    """An update in place reaches the layer."""
    network = numpy_twin()
    for array in network.parameters():
        np.add(array, 1, out=array)
    assert all((array != 0).all() for array in network.parameters())
    assert network.parameters()[0] is dict(network.named_layers())["0.0"].weight


def test_a_shared_layer_is_counted_once():
    """As in torch: under its first name, else an optimiser would step twice."""
    shared, theirs = Linear(2, 2), nn.Linear(2, 2)
    network = Sequential(shared, ReLU(), shared)
    twin = nn.Sequential(theirs, nn.ReLU(), theirs)
    assert [name for name, _ in network.named_parameters()] == [name for name, _ in twin.named_parameters()]
    assert network.parameter_count() == 6


class Silent(Layer):
    """A layer that answers nothing."""


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda layer: layer(np.ones(1), np.ones(1)),
            "Silent.forward: not defined, got 2 inputs, expected Silent to have `def forward(self, x)`",
        ),
        (
            lambda layer: layer.output_shape((1, 2)),
            "Silent.output_shape: not defined, got ((1, 2),), expected Silent to have `def output_shape(self, shape)`",
        ),
        (
            lambda layer: layer.multiply_adds((1, 2)),
            "Silent.work: not defined, got ((1, 2),), expected Silent to have `def work(self, shape)`",
        ),
        (
            lambda layer: Sequential(ReLU(), layer).output_shape((1, 2)),
            "Silent.output_shape: not defined, got ((1, 2),), expected Silent to have `def output_shape(self, shape)`",
        ),
    ],
    ids=["forward", "output_shape", "multiply_adds", "within"],
)
def test_what_a_subclass_must_answer_is_said(ask, message):
    """The class, the method, and what to define; not an AttributeError somewhere below."""
    with pytest.raises(NotImplementedError) as caught:
        ask(Silent())
    assert str(caught.value) == message
    assert caught.value.__notes__ == ["help: a layer without layers of its own must answer this itself"]


def test_a_network_without_forward_says_so_too():
    """One that has layers, but no forward, cannot be asked for its shapes either."""

    class Half(Layer):
        def __init__(self):
            super().__init__()
            self.relu = ReLU()

    with pytest.raises(NotImplementedError, match=r"^Half\.forward: not defined, got 1 inputs, expected Half to have"):
        Half().output_shape((1, 2))


def test_a_shape_pass_changes_nothing():
    """In training mode too: no estimate moves, nothing is drawn, no hook is called, no layer is left changed."""
    network = Sequential(Block(), Dropout(0.5)).train()
    calls = []
    for _, layer in network.named_layers():
        layer.register_forward_hook(lambda *_: calls.append(1))
    before = {name: array.copy() for name, array in network.state_dict().items()}
    drawn = dict(network.named_layers())["1"].generator.bit_generator.state
    assert network.output_shape((2, 3, 5, 4)) == (2, 3, 5, 4)
    assert calls == []
    assert dict(network.named_layers())["1"].generator.bit_generator.state == drawn
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    network(np.ones((2, 3, 5, 4), dtype=np.float32))
    # Five layers, one of them twice, and the two containers.
    assert len(calls) == 8


def test_a_shape_pass_runs_the_networks_own_forward():
    """Each use of a layer is a step, in the order of the code."""
    shape, steps = Block().shape_pass((2, 3, 5, 4))
    assert shape == (2, 3, 5, 4)
    assert [step.path for step in steps] == ["conv", "bn", "relu", "add", "relu"]
    assert steps[3].inputs == ((2, 3, 5, 4), (2, 3, 5, 4))


@pytest.mark.parametrize(
    ("forward", "what"),
    [
        (lambda self, x: self.relu(x) + x, "an operator or a function of NumPy's"),
        (lambda self, x: self.relu(x)[:, 0], "an operator or a function of NumPy's"),
        (lambda self, x: np.concatenate([self.relu(x), x]), "an operator or a function of NumPy's"),
        (lambda self, x: self.relu(x).mean(axis=(2, 3)), r"\.mean"),
    ],
    ids=["addition", "index", "numpy", "method"],
)
def test_what_is_no_layer_is_refused_in_a_shape_pass(forward, what):
    """Arithmetic between two layers has no shape that is known, and is not guessed at."""
    network = type("Own", (Sequential,), {"forward": forward})()
    network.relu = ReLU()
    with pytest.raises(
        ValueError,
        match=rf"^shape pass: between two layers only shapes are known, got {what} on an array of shape "
        r"\(1, 2, 3, 3\), expected it to be handed to a layer\nhelp: make every operation of the network a layer",
    ):
        network.output_shape((1, 2, 3, 3))


def test_a_network_that_gives_no_array_is_refused_in_a_shape_pass():
    """A list of arrays has no single shape."""
    network = type("Own", (Sequential,), {"forward": lambda self, x: [self.relu(x)]})()
    network.relu = ReLU()
    with pytest.raises(ValueError, match=r"^shape pass: no single array, got list, expected one array into and out of"):
        network.work((1, 2))


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (Conv2d(3, 4, 3), [(1, 5, 8, 8)], r"Conv2d: wrong number of channels, got 5, expected 3"),
        (Conv2d(3, 4, 3), [(5, 8, 8)], r"Conv2d: not a batch of images, got shape \(5, 8, 8\)"),
        (Conv2d(3, 4, 3), [(1, 3, 2, 8)], r"Conv2d: the padded image is smaller than the kernel, got 2x8"),
        (BatchNorm2d(3), [(1, 5, 8, 8)], r"BatchNorm2d: wrong number of channels, got 5, expected 3"),
        (BatchNorm2d(3), [(1, 3)], r"BatchNorm2d: not a batch of images, got shape \(1, 3\)"),
        (MaxPool2d(3), [(1, 5, 2, 8)], r"MaxPool2d: the padded image is smaller than the kernel"),
        (AvgPool2d(2, padding=2), [(1, 5, 2, 8)], r"AvgPool2d: more padding than half the kernel"),
        (AdaptiveAvgPool2d(2), [(1, 5, 0, 8)], r"AdaptiveAvgPool2d: an empty image has no mean, got 0"),
        (Linear(3, 4), [(1, 5)], r"Linear: wrong number of features, got shape \(1, 5\), expected \(\.\.\., 3\)"),
        (Flatten(3), [(1, 5)], r"Flatten: no such axes, got start_dim 3"),
        (Add(), [(1, 5), (1, 4)], r"Add: branch and shortcut differ in shape, got \(1, 5\) and \(1, 4\), expected the"),
    ],
    ids=[
        "conv-channels",
        "conv-axes",
        "conv-size",
        "norm-channels",
        "norm-axes",
        "max-size",
        "avg-padding",
        "adaptive-empty",
        "linear",
        "flatten",
        "add",
    ],
)
def test_shapes_that_do_not_fit_are_refused(layer, shapes, message):
    """With the layer's name, in the words its forward would use; no shape is made up."""
    with pytest.raises(ValueError, match=f"^{message}"):
        layer.output_shape(*shapes)
    with pytest.raises(ValueError, match=f"^{message}"):
        layer.work(*shapes)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("padding", ["same", "valid", 1, (0, 2)])
def test_padding_is_torchs(padding):
    """In words or numbers, kept as torch keeps it, with torch's result."""
    ours, theirs = Conv2d(2, 3, (3, 2), padding=padding), nn.Conv2d(2, 3, (3, 2), padding=padding).double()
    ours.load_state_dict({name: tensor.detach().numpy() for name, tensor in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 6))
    assert ours.padding == theirs.padding
    with torch.no_grad():
        # Sums of 12 products of numbers below 10: 1e-12 is a hundred times their rounding.
        np.testing.assert_allclose(ours(x), theirs(torch.from_numpy(x)).numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "full"}, "Conv2d: unknown padding, got 'full'"),
        ({"padding": "same", "stride": 2}, "Conv2d: padding 'same' with a stride"),
        ({"padding": -1}, "Conv2d: unusable padding, got -1"),
    ],
)
def test_unusable_padding_is_refused_when_the_layer_is_made(options, message):
    """Not when it is first used."""
    with pytest.raises(ValueError, match=f"^{message}"):
        Conv2d(2, 3, 3, **options)
