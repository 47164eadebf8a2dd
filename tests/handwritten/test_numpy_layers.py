"""The NumPy layers: torch's names around the pure functions, which have tests of their own."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.handwritten import numpy_layers

ARGUMENTS = {
    "Conv2d": (4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2),
    "BatchNorm2d": (4, 1e-3),
    "ReLU": (),
    "LeakyReLU": (0.3,),
    "ELU": (0.7,),
    "SELU": (),
    "Sigmoid": (),
    "Tanh": (),
    "MaxPool2d": ((3, 2), (2, 1), (1, 0), (1, 2)),
    "AvgPool2d": ((3, 2), (2, 1), (1, 0), True, False, None),
    "AdaptiveAvgPool2d": ((3, 2),),
    "Flatten": (1, 2),
    "Dropout": (0.5,),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_layer_passes_every_argument_on(name):
    """With no argument at its default, each layer gives what torch's module of the same name and arguments gives."""
    ours, theirs = getattr(numpy_layers, name)(*ARGUMENTS[name]), getattr(nn, name)(*ARGUMENTS[name]).double().eval()
    for tensor in theirs.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 2)
    ours.load_state_dict({key: tensor.numpy() for key, tensor in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((2, 4, 7, 6))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    # Sums of at most 12 products of numbers below 10: 1e-12 is a hundred times their rounding.
    np.testing.assert_allclose(ours(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", [1, -1])
@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_a_softmax_takes_its_axis(name, dim):
    """Torch's module of the same name and `dim` gives the same; without a `dim` there is none to guess."""
    ours, theirs = getattr(numpy_layers, name)(dim), getattr(nn, name)(dim)
    x = np.random.default_rng(0).standard_normal((2, 4, 7, 6))
    # Numbers below 10 out of sums of at most 7 terms: 1e-12 is a hundred times their rounding.
    np.testing.assert_allclose(ours(x), theirs(torch.from_numpy(x)).numpy(), rtol=0, atol=1e-12)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'dim'"):
        type(ours)()


@pytest.mark.parametrize("name", [*ARGUMENTS, "Linear"])
def test_arguments_and_attributes_have_torchs_names(name):
    """The same arguments in the same order with the same defaults; sizes are kept as pairs."""
    arguments = ARGUMENTS.get(name, (3, 5))
    ours, theirs = getattr(numpy_layers, name)(*arguments), getattr(nn, name)(*arguments)
    parameters = dict(inspect.signature(type(ours)).parameters)
    expected = inspect.signature(type(theirs)).parameters
    positional = [p for p, v in parameters.items() if v.kind is v.POSITIONAL_OR_KEYWORD]
    assert positional == [p for p in expected if p in parameters]
    for parameter in positional:
        assert parameters[parameter].default == expected[parameter].default
        if parameter != "bias":
            assert getattr(ours, parameter) == getattr(theirs, parameter)


def test_dropout_drops_only_in_training():
    """In eval mode it is the identity itself; in training the generator given draws."""
    x = np.ones(100)
    layer = numpy_layers.Dropout(0.5, generator=np.random.default_rng(3))
    assert layer(x) is x
    expected = numpy_layers.ops.dropout(x, 0.5, np.random.default_rng(3))
    np.testing.assert_array_equal(layer.train()(x), expected)


def test_a_batch_norm_counts_its_batches():
    """In training only: the count is what a cumulative average divides by."""
    layer = numpy_layers.BatchNorm2d(2)
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 3)).astype(np.float32)
    layer(x)
    assert layer.num_batches_tracked == 0
    layer.train()(x)
    assert layer.num_batches_tracked == 1


def test_sequential_runs_its_layers_in_order():
    """max(x, 0) after the linear map, not before."""
    layer = numpy_layers.Sequential(numpy_layers.Linear(1, 1), numpy_layers.ReLU())
    layer.load_state_dict({"0.weight": np.array([[-1.0]]), "0.bias": np.array([0.0])})
    assert layer(np.array([[-2.0]])).tolist() == [[2]]
    assert layer(np.array([[2.0]])).tolist() == [[0]]


def test_weights_are_drawn_as_documented():
    """Convolutions with deviation sqrt(2/fan_out), linear maps uniformly in ±1/sqrt(in_features), all float32."""
    conv, fc = numpy_layers.Conv2d(32, 64, 3), numpy_layers.Linear(100, 50)
    for layer in (conv, fc):
        layer.initialise(np.random.default_rng(0))
        assert {array.dtype for array in layer.arrays.values()} == {np.dtype(np.float32)}
    # 18432 draws: the standard error of the deviation is 0.5 %, and of the mean 0.7 % of it.
    deviation = np.sqrt(2 / (64 * 9))
    assert conv.weight.std() == pytest.approx(deviation, rel=0.03)
    assert abs(conv.weight.mean()) < 0.04 * deviation
    assert not conv.bias.any()
    for array in fc.arrays.values():
        assert 0.09 < np.abs(array).max() <= 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: numpy_layers.Conv2d(3, 4, 3, groups=2),
            "Conv2d: channels that groups do not divide, got 3 in and 4 out",
        ),
        (
            lambda: numpy_layers.Conv2d(3, 4, 3, grade="fast"),
            "conv2d: unknown grade, got 'fast', expected one of loops",
        ),
        (lambda: numpy_layers.Conv2d(3, 4, 0), "Conv2d: unusable kernel_size, got 0"),
        (lambda: numpy_layers.MaxPool2d(2, stride=0), "MaxPool2d: unusable stride, got 0"),
        (lambda: numpy_layers.AvgPool2d(2, divisor_override=0), "AvgPool2d: unusable divisor_override, got 0"),
        (lambda: numpy_layers.AdaptiveAvgPool2d(0), "AdaptiveAvgPool2d: unusable output_size, got 0"),
        (lambda: numpy_layers.Dropout(2), "Dropout: not a probability, got 2"),
    ],
)
def test_unusable_arguments_are_refused_when_the_layer_is_made(make, message):
    """Not when it is first used, many layers later."""
    with pytest.raises(ValueError, match=f"^{message}"):
        make()
