"""LeNet-5 in NumPy and in torch: one network twice, with the published sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import layerdiff
from layerdiff.handwritten import numpy_activation_layers, numpy_lenet, torch_activations, torch_lenet
from layerdiff.handwritten.numpy_layers import Flatten

ACTIVATIONS = ["relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh"]


@pytest.fixture
def twins():
    """Builds both halves with the same random weights, biases among them, in eval mode."""

    def build(**options):
        torch.manual_seed(0)
        theirs = torch_lenet.build(**options).eval()
        for name, tensor in theirs.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(tensor, std=0.3)
        ours = numpy_lenet.build(**options)
        ours.load_state_dict({name: tensor.numpy() for name, tensor in theirs.state_dict().items()})
        return ours, theirs

    return build


def images(n=2, channels=1, dtype=np.float32):
    """Random images of 32x32."""
    return np.random.default_rng(1).standard_normal((n, channels, 32, 32)).astype(dtype)


@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_layerdiff_calls_the_twins_the_same(twins, activation, pool):
    """Layer by layer, in float32 and float64, nothing but rounding lies between the NumPy and the torch network."""
    ours, theirs = twins(activation=activation, pool=pool)
    report = layerdiff.compare_networks(theirs, ours, images())
    assert report.verdict == "same"
    assert [layer.layer for layer in report.layers] == [
        *("conv1", "activation", "pool", "conv2", "activation_1", "pool_1", "conv3", "activation_2"),
        *("flatten", "fc1", "activation_3", "fc2"),
    ]


@pytest.mark.parametrize(
    ("activation", "wrong"),
    [
        ("tanh", lambda x: np.tanh(x * x.dtype.type(1.001))),
        ("sigmoid", lambda x: np.clip(x / 6 + x.dtype.type(0.5), 0, 1)),
        ("elu", lambda x: np.where(x > 0, x, x.dtype.type(0.999) * np.expm1(np.minimum(x, 0)))),
    ],
    ids=["tanh", "sigmoid", "elu"],
)
def test_layerdiff_finds_another_activation(twins, activation, wrong):
    """A tanh of 1.001 x, a hard sigmoid or an ELU of alpha 0.999 is different, at all four places alone."""
    ours, theirs = twins(activation=activation)
    ours.activation.forward = wrong
    report = layerdiff.compare_networks(theirs, ours, images())
    assert report.verdict == "different"
    faults = [layer.layer for layer in report.layers if layer.status == "fault"]
    assert faults == ["activation", "activation_1", "activation_2", "activation_3"]


def test_layerdiff_finds_a_pooling_exchanged(twins):
    """The mean for the maximum is different, and at the two poolings."""
    _, theirs = twins(activation="relu", pool="avg")
    ours = numpy_lenet.build(activation="relu", pool="max")
    ours.load_state_dict({name: tensor.numpy() for name, tensor in theirs.state_dict().items()})
    report = layerdiff.compare_networks(theirs, ours, images())
    assert report.verdict == "different"
    assert [layer.layer for layer in report.layers if layer.status == "fault"] == ["pool", "pool_1"]


@pytest.mark.parametrize("pool", ["avg", "max"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_logits_are_those_of_torchs_own_functions(twins, activation, pool):
    """Both halves give the logits of the network as torch.nn.functional spells it, in float64.

    A layer rounds sums of at most 400 terms: 2*402*2^-53 = 9e-14 of their magnitudes, which here are at most some tens
    of times their values, and no layer enlarges an error more than the values; five layers leave less than 1e-10.
    The mean for the maximum, or another activation, leaves more than 1e-2.
    """
    ours, theirs = twins(activation=activation, pool=pool)
    state, x = theirs.double().state_dict(), images(dtype=np.float64)
    act = getattr(functional, activation) if hasattr(functional, activation) else getattr(torch, activation)
    pooled = functional.avg_pool2d if pool == "avg" else functional.max_pool2d
    y = torch.from_numpy(x)
    for name in ("conv1", "conv2"):
        y = pooled(act(functional.conv2d(y, state[f"{name}.weight"], state[f"{name}.bias"])), 2)
    y = act(functional.linear(y.flatten(1), state["conv3.weight"].flatten(1), state["conv3.bias"]))
    y = act(functional.linear(y, state["fc1.weight"], state["fc1.bias"]))
    expected = functional.linear(y, state["fc2.weight"], state["fc2.bias"]).numpy()
    with torch.no_grad():
        for actual in (ours.astype(np.float64)(x), theirs(torch.from_numpy(x)).numpy()):
            assert actual.dtype == np.float64
            assert np.abs(actual - expected).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_and_their_slopes_are_torchs(activation):
    """Handwritten torch activations: torch's values, and its gradients, at zero and far away too, in float64."""
    x = torch.tensor([-800.0, -20, -1.5, -1e-9, 0, 1e-9, 0.7, 20, 800], dtype=torch.float64)
    theirs = getattr(functional, activation) if hasattr(functional, activation) else getattr(torch, activation)
    results = []
    for function in (torch_activations.activation("test", activation), theirs):
        given = x.clone().requires_grad_()
        y = function(given)
        y.backward(torch.linspace(-1, 1, 9, dtype=torch.float64))
        results.append((y.detach().numpy(), given.grad.numpy()))
    (value, slope), (expected_value, expected_slope) = results
    # An exponential and three products: some units in the last place, 2^-52 of each value. Autograd takes the slope of
    # expm1(x) for expm1(x) + 1, which rounds to 2^-53 of 1, however small the slope.
    np.testing.assert_allclose(value, expected_value, rtol=8 * 2.0**-52, atol=0)
    np.testing.assert_allclose(slope, expected_slope, rtol=8 * 2.0**-52, atol=8 * 2.0**-52)


def test_the_tables_of_activations_are_the_same():
    """Both halves know the same names; each gives a layer of that name."""
    assert list(numpy_activation_layers.ACTIVATIONS) == list(torch_activations.ACTIVATIONS) == ACTIVATIONS
    for name in ACTIVATIONS:
        numpy_layer = numpy_activation_layers.activation("test", name)
        torch_module = torch_activations.activation("test", name)
        assert type(numpy_layer).__name__ == type(torch_module).__name__
        assert type(torch_module).__name__.lower() == name.replace("_", "")


def test_activations_print_what_tells_them_apart():
    """The slope and alpha."""
    assert repr(torch_activations.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(torch_activations.ELU(0.5)) == "ELU(alpha=0.5)"


def test_parameters_are_the_published_number():
    """61,706 in both halves, by the same names in the same order, and of the published sizes layer by layer."""
    ours, theirs = numpy_lenet.build(), torch_lenet.build()
    assert ours.parameter_count() == sum(tensor.numel() for tensor in theirs.parameters()) == 61_706
    assert [(name, array.shape) for name, array in ours.named_parameters()] == [
        (name, tuple(tensor.shape)) for name, tensor in theirs.named_parameters()
    ]
    assert [layer.parameter_count() for _, layer in ours.children()] == [156, 0, 0, 2416, 48120, 0, 10164, 850]


def test_layers_are_named_in_one_order():
    """Both halves have the same layers by the same paths."""
    ours, theirs = numpy_lenet.build(), torch_lenet.build()
    assert [path for path, _ in ours.named_layers()] == [path for path, _ in theirs.named_modules()]


def test_shapes_are_the_papers():
    """Figure 2 of the paper: 28x28, 14x14, 10x10, 5x5, 1x1, 84, 10; other channels and classes on request."""
    network = numpy_lenet.build(in_channels=3, num_classes=6)
    shape, steps = network.shape_pass((4, 3, 32, 32))
    maps = [step.output for step in steps if not step.path.startswith("activation")]
    assert maps == [
        *((4, 6, 28, 28), (4, 6, 14, 14), (4, 16, 10, 10), (4, 16, 5, 5), (4, 120, 1, 1)),
        *((4, 120), (4, 84), (4, 6)),
    ]
    assert shape == network(images(4, 3)).shape == (4, 6)
    assert torch_lenet.build(in_channels=3, num_classes=6)(torch.from_numpy(images(4, 3))).shape == (4, 6)


def test_a_seed_makes_a_network():
    """The same seed gives the same weights, another others; eval mode, float32, in every grade the same logits."""
    first, again, other = (numpy_lenet.build(seed=seed) for seed in (0, 0, 1))
    for one, same in zip(first.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(one, same)
    assert (first.conv3.weight != other.conv3.weight).any()
    assert not first.training
    assert first(images()).dtype == np.float32
    x = images(1, dtype=np.float64)
    expected, actual = (numpy_lenet.build(grade=grade).astype(np.float64)(x) for grade in ("gemm", "im2col"))
    assert np.abs(actual - expected).max() <= 1e-10 * np.abs(expected).max()


def test_an_image_of_another_size_is_refused():
    """At 28x28 the map before C5 is 4x4, smaller than its kernel."""
    for forward in (numpy_lenet.build(), numpy_lenet.build().output_shape):
        with pytest.raises(
            ValueError, match=r"the padded image is smaller than the kernel, got 4x4, expected at least"
        ):
            forward((1, 1, 28, 28) if not isinstance(forward, numpy_lenet.LeNet5) else images()[:, :, :28, :28])


@pytest.mark.parametrize("half", [numpy_lenet, torch_lenet], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": "mean"}, "LeNet5: unknown pool, got 'mean', expected avg or max"),
        (
            {"activation": "swish"},
            "LeNet5: unknown activation, got 'swish', expected one of relu, leaky_relu, elu, selu, sigmoid, tanh",
        ),
    ],
    ids=["pool", "activation"],
)
def test_unknown_options_are_refused(half, options, message):
    """By both halves in the same words, listing what there is."""
    with pytest.raises(ValueError, match=f"^{message}"):
        half.build(**options)


def test_no_module_is_torchs_own():
    """The handwritten torch network computes with tensor operations: no layer of torch.nn is in it."""
    modules = [type(module) for module in torch_lenet.build().modules()]
    assert all(kind.__module__.startswith("layerdiff.handwritten") for kind in modules), modules
    assert Flatten.__name__ in {kind.__name__ for kind in modules}
