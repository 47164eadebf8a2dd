"""One vocabulary for operations."""

from __future__ import annotations

import pytest
from torch import nn

from layerdiff.compare.kinds import attributes_of, family, kind_of_function


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
