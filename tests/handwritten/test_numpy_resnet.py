"""The residual networks of the NumPy half: names, order, loading, watching. Their values: test_networks.py."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from layerdiff.handwritten import numpy_resnet
from layerdiff.handwritten.configurations import CONFIGURATIONS, configuration


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_arrays_and_layers_are_named_and_ordered_as_torchvisions(name, torchvision_blank):
    """Same keys in the same order with the same shapes, but for the counters; same paths, but for Add and Flatten."""
    network = numpy_resnet.ResNet(configuration(name))
    theirs = torchvision_blank(name)
    assert [(key, array.shape) for key, array in network.state_dict().items()] == [
        (key, tuple(tensor.shape))
        for key, tensor in theirs.state_dict().items()
        if not key.endswith("num_batches_tracked")
    ]
    paths = [path for path, _ in network.named_layers()]
    assert [path for path in paths if path.split(".")[-1] not in {"add", "flatten"}] == [
        path for path, _ in theirs.named_modules()
    ]
    assert sum(path.endswith(".add") for path in paths) == sum(CONFIGURATIONS[name].blocks)


@pytest.mark.parametrize("grade", ["loops", "im2col", "taps"])
def test_the_grades_make_the_same_network(grade):
    """A small image through all of ResNet-18 in the grade of the definition, against the fast one, in float64."""
    x = np.random.default_rng(0).standard_normal((1, 3, 1, 1))
    expected, actual = (numpy_resnet.build("resnet18", grade=g).astype(np.float64)(x) for g in ("gemm", grade))
    assert np.abs(actual - expected).max() <= 1e-12 * np.abs(expected).max()


def test_every_operation_between_image_and_logits_is_a_layer():
    """What a layer takes is the image or what another layer gave, the very array: nothing happens between them."""
    network = numpy_resnet.build("resnet50")
    x = np.random.default_rng(0).standard_normal((1, 3, 33, 40), dtype=np.float32)
    known = [x]
    for _, layer in network.named_layers():
        if not list(layer.children()):

            def hook(layer, inputs, output):
                assert all(any(array is other for other in known) for array in inputs)
                known.append(output)

            layer.register_forward_hook(hook)
    logits = network(x)
    assert logits is known[-1]
    # conv + bn for each of 53, relu 49, add 16, maxpool, avgpool, flatten, fc.
    assert len(known) - 1 == 53 * 2 + 49 + 16 + 4


def test_no_layer_writes_to_what_another_gave():
    """An array that a hook kept still holds what it held: nothing is done in place."""
    network = numpy_resnet.build("resnet18")
    kept = []
    for _, layer in network.named_layers():
        layer.register_forward_hook(lambda layer, inputs, output: kept.append((output, output.copy())))
    network(np.random.default_rng(0).standard_normal((1, 3, 33, 40), dtype=np.float32))
    for output, copy in kept:
        np.testing.assert_array_equal(output, copy)


def test_a_seed_makes_a_network():
    """The same seed gives the same weights, another seed others, and nothing depends on a global state."""
    first, again, other = (numpy_resnet.build("resnet18", seed=seed).conv1.weight for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_network_can_have_other_channels_and_classes():
    """For small experiments: one channel in, ten classes out, float32 by default and in eval mode."""
    network = numpy_resnet.build("resnet18", num_classes=10, in_channels=1)
    logits = network(np.zeros((2, 1, 33, 40), dtype=np.float32))
    assert (logits.shape, logits.dtype, network.training) == ((2, 10), np.float32, False)


def test_an_image_of_another_precision_is_refused():
    """A float64 image would quietly make a float32 network compute in float64; the help says how to ask for it."""
    with pytest.raises(ValueError, match=r"^conv2d: mixed dtypes, got weight float32, expected float64 as x") as caught:
        numpy_resnet.build("resnet18")(np.zeros((1, 3, 33, 33)))
    assert "network.astype" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet5"}, "build: unknown network, got 'resnet5'"),
        ({"name": "resnet18", "grade": "slow"}, "conv2d: unknown grade, got 'slow'"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    """Of networks and of grades."""
    with pytest.raises(ValueError, match=f"^{message}"):
        numpy_resnet.build(**arguments)


def test_runs_where_torch_cannot_be_imported():
    """The twin is NumPy alone: with torch and torchvision barred from import, ResNet-18 still classifies."""
    program = """
import sys
sys.modules["torch"] = sys.modules["torchvision"] = None
import numpy as np
from layerdiff.handwritten import numpy_hwc, numpy_resnet
network = numpy_resnet.build("resnet18")
x = np.random.default_rng(0).standard_normal((1, 3, 64, 64), dtype=np.float32)
print(network(x).shape, numpy_hwc.classify_hwc(network, x[0].transpose(1, 2, 0)).shape)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.split("\n")[0]) == (0, "(1, 1000) (1000,)"), result.stderr
