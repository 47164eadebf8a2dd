"""Initialisers draw from the distributions that their papers prescribe, and torch's."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
import torchvision
from torch.nn import init

from layerdiff.handwritten.configurations import configuration
from layerdiff.handwritten.initialisers import (
    Nonlinearity,
    fans,
    gain,
    he_normal,
    he_uniform,
    normal,
    ones,
    torch_default,
    torch_default_bias,
    uniform,
    xavier_normal,
    xavier_uniform,
    zero_gamma,
    zeros,
)
from layerdiff.handwritten.numpy_blocks import BasicIdentityBlock
from layerdiff.handwritten.numpy_layers import Add, BatchNorm2d, Conv2d, Sequential
from layerdiff.handwritten.numpy_resnet import ResNet

SHAPES = [(300, 200), (60, 40, 5, 3), (64, 8, 9, 9)]
"""Of a linear map, of a convolution, and of one whose images have more channels than each kernel sees."""

CHANCE = 1e-6
"""That a right initialiser fails one of the tests below. The seeds are fixed: it fails always or never."""

DEVIATIONS = 5
"""How many standard errors an estimate may be off; a normal one is farther off with a chance of 6e-7."""

# What draws a weight, what draws it in torch, and the variance by the formula of the paper.
NORMAL = {
    "xavier_normal": (xavier_normal, init.xavier_normal_, lambda i, o: 2 / (i + o)),
    "xavier_normal,gain=1.5": (
        lambda *args: xavier_normal(*args, gain=1.5),
        lambda tensor: init.xavier_normal_(tensor, gain=1.5),
        lambda i, o: 1.5**2 * 2 / (i + o),
    ),
    "he_normal": (
        he_normal,
        lambda tensor: init.kaiming_normal_(tensor, nonlinearity="relu"),
        lambda i, _: 2 / i,
    ),
    "he_normal,fan_out": (
        lambda *args: he_normal(*args, mode="fan_out"),
        lambda tensor: init.kaiming_normal_(tensor, mode="fan_out", nonlinearity="relu"),
        lambda _, o: 2 / o,
    ),
    "he_normal,leaky_relu": (
        lambda *args: he_normal(*args, nonlinearity="leaky_relu", a=0.5),
        lambda tensor: init.kaiming_normal_(tensor, a=0.5),
        lambda i, _: 2 / (1.25 * i),
    ),
    "he_normal,linear": (
        lambda *args: he_normal(*args, nonlinearity="linear"),
        lambda tensor: init.kaiming_normal_(tensor, nonlinearity="linear"),
        lambda i, _: 1 / i,
    ),
}
UNIFORM = {
    "xavier_uniform": (xavier_uniform, init.xavier_uniform_, lambda i, o: 2 / (i + o)),
    "xavier_uniform,gain=1.5": (
        lambda *args: xavier_uniform(*args, gain=1.5),
        lambda tensor: init.xavier_uniform_(tensor, gain=1.5),
        lambda i, o: 1.5**2 * 2 / (i + o),
    ),
    "he_uniform": (
        he_uniform,
        lambda tensor: init.kaiming_uniform_(tensor, nonlinearity="relu"),
        lambda i, _: 2 / i,
    ),
    "he_uniform,fan_out": (
        lambda *args: he_uniform(*args, mode="fan_out"),
        lambda tensor: init.kaiming_uniform_(tensor, mode="fan_out", nonlinearity="relu"),
        lambda _, o: 2 / o,
    ),
    "torch_default": (
        torch_default,
        lambda tensor: init.kaiming_uniform_(tensor, a=math.sqrt(5)),
        lambda i, _: 1 / (3 * i),
    ),
}
EVERY = NORMAL | UNIFORM


def fans_of(shape):
    """Counted by hand, not by the function under test."""
    taps = {2: 1, 4: shape[-1] * shape[-2]}[len(shape)]
    return shape[1] * taps, shape[0] * taps


def distance_allowed(count, chance=CHANCE):
    """By how much the share of `count` values below any point may differ from the probability of lying there.

    Source: Massart, "The Tight Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality", 1990; it holds for every count.
    """
    return math.sqrt(math.log(2 / chance) / (2 * count))


def distance(values, distribution):
    """The Kolmogorov-Smirnov statistic: the largest difference between the two cumulative distributions."""
    values = np.sort(values, axis=None).astype(np.float64)
    probability = distribution(values)
    steps = np.arange(values.size + 1) / values.size
    return max(np.abs(probability - steps[:-1]).max(), np.abs(probability - steps[1:]).max())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_mean_and_variance_are_the_formulas(name, shape):
    """To within five standard errors: sigma/sqrt(n) of the mean, sigma^2*sqrt((kurtosis - 1)/n) of the variance.

    The kurtosis of a normal distribution is 3, that of a uniform one 9/5.
    """
    draw, _, variance_of = EVERY[name]
    weight, variance = draw(shape, np.random.default_rng(1)).astype(np.float64), variance_of(*fans_of(shape))
    kurtosis = 3 if name in NORMAL else 9 / 5
    assert abs(weight.mean()) <= DEVIATIONS * math.sqrt(variance / weight.size)
    assert abs((weight**2).mean() - variance) <= DEVIATIONS * variance * math.sqrt((kurtosis - 1) / weight.size)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_values_are_distributed_as_the_formulas(name, shape):
    """No share of values below a point is farther from its probability than chance allows."""
    draw, _, variance_of = EVERY[name]
    weight, variance = draw(shape, np.random.default_rng(2)), variance_of(*fans_of(shape))

    def normal_distribution(x):
        return (1 + torch.erf(torch.from_numpy(x / math.sqrt(2 * variance))).numpy()) / 2

    def uniform_distribution(x):
        return np.clip(0.5 + x / (2 * math.sqrt(3 * variance)), 0, 1)

    distribution = normal_distribution if name in NORMAL else uniform_distribution
    assert distance(weight, distribution) <= distance_allowed(weight.size)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_values_are_distributed_as_torchs(name, shape):
    """Two samples, each as far from their distribution as chance allows."""
    draw, draw_in_torch, _ = EVERY[name]
    ours = draw(shape, np.random.default_rng(3))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = np.sort(draw_in_torch(torch.empty(shape)).numpy(), axis=None)

    def share_of_theirs(x):
        return np.searchsorted(theirs, x, side="right") / theirs.size

    assert distance(ours, share_of_theirs) <= 2 * distance_allowed(ours.size, CHANCE / 2)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", UNIFORM)
def test_bounds_are_exact(name, shape):
    """No value is beyond sqrt(3*variance), and the largest comes as near to it as chance allows.

    All n values stay below the share 1 - d of the bound with the probability (1 - d)^n < exp(-d*n).
    """
    draw, _, variance_of = UNIFORM[name]
    weight, bound = draw(shape, np.random.default_rng(4)), math.sqrt(3 * variance_of(*fans_of(shape)))
    missing = -math.log(CHANCE) / weight.size
    assert bound * (1 - missing) <= float(np.abs(weight).max()) <= bound


class Extreme:
    """A generator whose every value is the smallest, or the largest, that a real one gives."""

    def __init__(self, value):
        self.value = np.float32(value)

    def random(self, shape, dtype):
        """As numpy.random.Generator.random."""
        return np.full(shape, self.value, dtype=dtype)


@pytest.mark.parametrize("bound", [0.1, 0.3, 1 / 3, 1, 1e-3, math.pi])
@pytest.mark.parametrize("value", [0, 1 - 2**-24])
def test_no_extreme_value_is_beyond_the_bound(bound, value):
    """Not by rounding either: 0.1 as a float32 is larger than 0.1."""
    drawn = abs(float(uniform((1,), Extreme(value), bound)[0]))
    assert bound * (1 - 2**-22) <= drawn <= bound


def test_normal_has_its_mean_and_deviation():
    """To within five standard errors."""
    values = normal((400, 100), np.random.default_rng(5), mean=-2.0, std=0.5).astype(np.float64)
    assert abs(values.mean() + 2) <= DEVIATIONS * 0.5 / 200
    assert abs(((values + 2) ** 2).mean() - 0.25) <= DEVIATIONS * 0.25 * math.sqrt(2) / 200
    assert (normal((3,), np.random.default_rng(5), mean=1.5, std=0) == 1.5).all()


@pytest.mark.parametrize(
    ("shape", "module"),
    [
        ((5000, 30), lambda: torch.nn.Linear(30, 5000)),
        ((5000, 4, 3, 2), lambda: torch.nn.Conv2d(8, 5000, (3, 2), groups=2)),
    ],
    ids=["linear", "conv"],
)
def test_torchs_layers_begin_so(shape, module):
    """Weight and bias of a fresh layer of torch's and of ours are two samples of one distribution."""
    generator = np.random.default_rng(6)
    with torch.random.fork_rng():
        torch.manual_seed(6)
        theirs = module()
    assert tuple(theirs.weight.shape) == shape
    for ours, tensor in (
        (torch_default(shape, generator), theirs.weight),
        (torch_default_bias(shape, generator), theirs.bias),
    ):
        sample = np.sort(tensor.detach().numpy(), axis=None)
        assert ours.shape == tuple(tensor.shape)
        allowed = 2 * distance_allowed(ours.size, CHANCE / 2)
        assert distance(ours, lambda x, s=sample: np.searchsorted(s, x, side="right") / s.size) <= allowed
        assert np.abs(ours).max() <= 1 / math.sqrt(math.prod(shape[1:]))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_the_same_seed_gives_the_same_bytes(name, shape):
    """In float32, and another seed gives others."""
    draw = EVERY[name][0]
    first, again, other = (draw(shape, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert (first.dtype, first.shape) == (np.float32, shape)
    assert first.tobytes() == again.tobytes()
    assert not (first == other).any()


def test_zeros_and_ones():
    """As biases and the scales of norms begin: new arrays of float32."""
    for array, value in ((zeros((2, 3)), 0), (ones((2, 3)), 1)):
        assert (array.dtype, array.shape, np.unique(array).tolist()) == (np.float32, (2, 3), [value])


@pytest.mark.parametrize("shape", [*SHAPES, (1, 1), (7, 1), (6, 1, 3, 3), (8, 3, 5)], ids=str)
def test_fans_are_torchs(shape):
    """Of linear maps and of convolutions of any dimension."""
    assert fans(shape) == init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize("nonlinearity", get_args(Nonlinearity))
def test_gains_are_torchs(nonlinearity):
    """Equal, not near; a slope counts for the leaky relu only."""
    assert gain(nonlinearity) == init.calculate_gain(nonlinearity, 0 if nonlinearity == "leaky_relu" else None)
    assert gain("leaky_relu", 0.3) == init.calculate_gain("leaky_relu", 0.3)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_zero_gamma_is_torchvisions(name):
    """The same norms are at zero, in the very arrays there were, and nothing else has changed."""
    network = ResNet(configuration(name), num_classes=2)
    before = {key: (array, array.copy()) for key, array in network.state_dict().items()}
    found = [f"{path}.weight" for path in zero_gamma(network)]
    theirs = torchvision.models.get_model(name, weights=None, num_classes=2, zero_init_residual=True)
    zero = [key for key, tensor in theirs.named_parameters() if key.endswith("weight") and not tensor.any()]
    assert found == zero
    for key, array in network.state_dict().items():
        assert array is before[key][0]
        np.testing.assert_array_equal(array, 0 if key in zero else before[key][1])


def test_a_block_with_zero_gamma_is_its_shortcut():
    """In training, too, whatever its other weights are."""
    block = BasicIdentityBlock(4, 4, stride=1, config=configuration("resnet18"), grade="gemm").train()
    generator = np.random.default_rng(9)
    for _, layer in block.named_layers():
        layer.initialise(generator)
    x = generator.standard_normal((2, 4, 5, 5), dtype=np.float32)
    assert (block(x) != np.maximum(x, 0)).any()
    assert zero_gamma(block) == ["bn2"]
    np.testing.assert_array_equal(block(x), np.maximum(x, 0))


def residual(*norms):
    """A block without convolutions."""
    block = Sequential(*norms)
    block.add = Add()
    return block


GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fans((5,)),
            r"fans: not the shape of a weight, got \(5,\), expected \(out, in\) or \(out, in/groups, kh",
        ),
        (lambda: he_normal((5, 0), GENERATOR), r"fans: not the shape of a weight, got \(5, 0\), expected"),
        (lambda: torch_default_bias((5,), GENERATOR), r"fans: not the shape of a weight, got \(5,\), expected"),
        (
            lambda: gain("swish"),
            "gain: unknown nonlinearity, got 'swish', expected one of linear, sigmoid, tanh, relu, leaky_relu, selu",
        ),
        (
            lambda: he_normal((2, 2), GENERATOR, mode="fan"),
            "he_normal: unknown mode, got 'fan', expected one of fan_in, fan_out",
        ),
        (lambda: he_uniform((2, 2), GENERATOR, mode="fan"), "he_uniform: unknown mode, got 'fan'"),
        (
            lambda: normal((2,), GENERATOR, std=-1),
            "normal: unusable std, got -1, expected a finite number of at least 0",
        ),
        (lambda: normal((2,), GENERATOR, std=math.nan), "normal: unusable std, got nan, expected a finite number"),
        (lambda: xavier_uniform((2, 2), GENERATOR, gain=-1), "uniform: unusable bound, got -1.2.*, expected a finite"),
        (
            lambda: zero_gamma(Sequential(Conv2d(1, 1, 1), BatchNorm2d(1))),
            "zero_gamma: no norm to set to zero, got no residual block, expected blocks with an addition called add "
            "and norms with a scale",
        ),
        (
            lambda: zero_gamma(
                Sequential(residual(BatchNorm2d(1)), residual(), residual(BatchNorm2d(1, affine=False)))
            ),
            "zero_gamma: no norm to set to zero, got 1, 2, expected blocks",
        ),
        (lambda: zero_gamma(residual()), "zero_gamma: no norm to set to zero, got the network itself, expected"),
    ],
)
def test_what_cannot_be_used_is_refused(call, message):
    """In one line that says where, what it got and what it expected."""
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert error.value.__notes__[0].startswith("help: ")
