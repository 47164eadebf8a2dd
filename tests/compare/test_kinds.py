"""One vocabulary for operations."""

from __future__ import annotations

import pytest
from torch import nn

from layerdiff.compare.kinds import attributes_of, family, kind_of_class, kind_of_function
from layerdiff.handwritten import numpy_activation_layers


@pytest.mark.parametrize(
    ("layer", "padding"),
    [
        (nn.Conv2d(1, 1, 3, padding="same"), (1, 1)),
        (nn.Conv2d(1, 1, (7, 1), padding="same", dilation=2), (6, 0)),
        (nn.Conv2d(1, 1, 3, padding="valid"), (0, 0)),
        (nn.Conv2d(1, 1, 4, padding="same"), "same"),
        (nn.Conv2d(1, 1, 3, padding=2), (2, 2)),
    ],
    ids=["same", "dilated", "valid", "even kernel", "number"],
)
def test_padding_is_numbers_where_it_can_be(layer, padding):
    """`same` and `valid` are the numbers they stand for, unless one side is padded more than the other."""
    assert attributes_of("conv2d", layer)["padding"] == padding


def test_a_pooling_without_a_stride_has_its_kernels():
    """MaxPool2d(3) has stride 3, as it is written or not."""
    assert attributes_of("max_pool2d", nn.MaxPool2d(3))["stride"] == (3, 3)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("relu_", "relu"), ("__iadd__", "add"), ("__radd__", "add"), ("__matmul__", "matmul"), ("true_divide", "div")],
)
def test_forms_of_one_function_have_one_name(name, kind):
    """In-place, reflected and operator forms are the plain function."""
    assert kind_of_function(name) == kind


def test_kinds_of_one_job_are_a_family():
    """A LeakyReLU may stand where a ReLU belongs, a convolution may not."""
    assert family("relu", "leaky_relu")
    assert not family("relu", "conv2d")


@pytest.mark.parametrize(
    ("layer", "kind", "attributes"),
    [
        (nn.Tanh(), "tanh", {}),
        (nn.Sigmoid(), "sigmoid", {}),
        (nn.ELU(0.3), "elu", {"alpha": 0.3}),
        (nn.SELU(), "selu", {}),
        (nn.GELU("tanh"), "gelu", {"approximate": "tanh"}),
        (nn.SiLU(), "silu", {}),
        (nn.Mish(), "mish", {}),
        (nn.Hardswish(), "hardswish", {}),
        (nn.Hardsigmoid(), "hardsigmoid", {}),
        (nn.Softplus(2, 30), "softplus", {"beta": 2, "threshold": 30}),
        (nn.Softmax(1), "softmax", {"dim": 1}),
        (nn.LogSoftmax(-1), "log_softmax", {"dim": -1}),
        (numpy_activation_layers.Tanh(), "tanh", {}),
        (numpy_activation_layers.Sigmoid(), "sigmoid", {}),
        (numpy_activation_layers.ELU(0.3), "elu", {"alpha": 0.3}),
        (numpy_activation_layers.SELU(), "selu", {}),
        (numpy_activation_layers.Softmax(1), "softmax", {"dim": 1}),
        (numpy_activation_layers.LogSoftmax(-1), "log_softmax", {"dim": -1}),
    ],
    ids=lambda one: (
        "" if isinstance(one, dict) else one if isinstance(one, str) else type(one).__module__.split(".")[0]
    ),
)
def test_smooth_layers_have_the_kinds_of_the_functions(layer, kind, attributes):
    """Torch's classes and NumPy's, by the function's name, with what tells one from another."""
    assert kind_of_class(type(layer).__name__) == kind
    assert attributes_of(kind, layer) == attributes
    assert kind_of_function(kind + "_") == kind


def test_smooth_functions_are_a_family():
    """Any of them may stand where another is expected, a linear layer may not."""
    assert all(family("relu", kind) for kind in ("tanh", "hardsigmoid", "log_softmax", "softmax", "softplus"))
    assert not family("log_softmax", "linear")
