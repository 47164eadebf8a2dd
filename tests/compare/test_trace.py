"""Ids and parts of traces."""

from __future__ import annotations

import pytest

from layerdiff.compare.kinds import attributes_of, kind_of_function
from layerdiff.compare.trace import Namer, Op, is_within, upto
from layerdiff.errors import InputError


def test_a_repeated_path_is_counted_as_torchvision_counts():
    """The first call keeps the path, later ones get `_1`, `_2`."""
    namer = Namer()

    assert [namer.name(path) for path in ("relu", "relu", "conv", "relu")] == ["relu", "relu_1", "conv", "relu_2"]


def test_a_part_is_a_whole_path_component():
    """`layer1` does not take in `layer10`."""
    assert is_within("layer1.0.conv1", "layer1")
    assert not is_within("layer10.0.conv1", "layer1")


def test_until_that_names_nothing_lists_the_parts():
    """An unknown part is refused, with the parts there are."""
    ops = tuple(Op(name, name, "relu", (), {}, {}, (1,), "float32") for name in ("conv1", "layer1.0.add", "fc"))

    with pytest.raises(InputError, match="until: no such layer, got 'layer9'") as error:
        upto(ops, "layer9")

    assert error.value.__notes__ == ["help: the network's parts are conv1, layer1, fc"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("add", "add"),
        ("__iadd__", "add"),
        ("__radd__", "add"),
        ("add_", "add"),
        ("relu_", "relu"),
        ("flatten", "flatten"),
    ],
)
def test_forms_of_a_function_are_one_kind(name, kind):
    """In-place, reflected and method forms are the same kind of operation."""
    assert kind_of_function(name) == kind


def test_sizes_are_pairs_however_they_were_given():
    """`stride=2`, `[2, 2]` and `(2, 2)` are the same attribute."""

    class Layer:
        kernel_size, stride, padding, groups = 3, [2, 2], "same", 4

    assert attributes_of("conv2d", Layer()) == {
        "kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1), "groups": 4,
    }  # fmt: skip
