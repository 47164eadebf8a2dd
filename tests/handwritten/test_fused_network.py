"""The fused network gives what the textbook network gives, with every idea in use and without, in any shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fused_kit import SMALL, blocks_of, bound, images, network

from layerdiff.handwritten.configurations import CONFIGURATIONS
from layerdiff.handwritten.fused import PLAIN, FusedResNet, Tricks, build

ONE_OFF = {
    "pointwise": Tricks(pointwise=False),
    "blocked": Tricks(blocked="never"),
    "winograd": Tricks(winograd=False),
    "shifted": Tricks(shifted=False),
    "interleaved": Tricks(interleaved=False),
}
ONE_ON = {
    "pointwise": replace(PLAIN, pointwise=True),
    "blocked": replace(PLAIN, blocked="always"),
    "winograd": replace(PLAIN, winograd=True),
    "shifted": replace(PLAIN, shifted=True),
    "interleaved": replace(PLAIN, interleaved=True),
}
SHAPES = [(1, 3, 96, 96), (2, 3, 65, 47), (3, 3, 97, 130)]


def agrees(config, fused, net, x):
    """Whether the logits are the textbook's to within rounding; all of them numbers."""
    expected = net(x)
    error = np.abs(fused(x) - expected).max()
    return error <= bound(config, expected)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_architecture_gives_the_textbooks_logits(name):
    """In float64 the logits differ by no more than rounding."""
    config, state, net = network(name)
    assert agrees(config, build(name, state, threads=2, dtype=np.float64), net, images(1, 3, 45, 38))
    network.cache_clear()


@pytest.mark.parametrize("tricks", [Tricks(blocked="always"), PLAIN], ids=["all", "plain"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", SMALL)
def test_every_shape_gives_the_textbooks_logits_with_the_same_bits_for_any_number_of_threads(kind, shape, tricks):
    """Odd sizes, several images, tiles cut off at the edge; one, two and three threads agree in every bit."""
    config, state, net = network(kind)
    x = images(*shape)
    one, *more = (FusedResNet(config, state, threads=t, tricks=tricks, dtype=np.float64) for t in (1, 2, 3))
    assert agrees(config, one, net, x)
    expected = one(x)
    assert all(np.array_equal(other(x), expected) for other in more)


@pytest.mark.parametrize("tricks", [*ONE_OFF.values(), *ONE_ON.values()], ids=[*(f"no {k}" for k in ONE_OFF), *ONE_ON])
@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
def test_every_idea_can_be_left_out_and_used_alone(kind, tricks):
    """With one idea off, and with it as the only one, the logits are the textbook's."""
    config, state, net = network(kind)
    assert agrees(
        config, FusedResNet(config, state, threads=2, tricks=tricks, dtype=np.float64), net, images(1, 3, 96, 80)
    )


@pytest.mark.parametrize("kind", SMALL)
def test_the_outputs_of_the_blocks_are_the_textbooks(kind):
    """Pooling, every block and the last layer under torchvision's names, channels first, and the logits as called."""
    config, state, net = network(kind)
    x = images(2, 3, 96, 80)
    fused = FusedResNet(config, state, threads=2, dtype=np.float64)
    expected, actual = blocks_of(net, x), fused.blocks(x)
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert actual[name].shape == array.shape
        assert np.abs(actual[name] - array).max() <= bound(config, array), name
    assert np.array_equal(actual["fc"], fused(x))


def test_float32_errs_no_more_than_the_bound():
    """In float32 the logits lie within the rounding of float32 of the textbook's in float64."""
    config, state, net = network("bottleneck")
    x = images(2, 3, 96, 80)
    expected = net(x)
    actual = FusedResNet(config, state, threads=2)(x.astype(np.float32))
    assert actual.dtype == np.float32
    # Rounding errors of either sign: the bound's terms and layers count by their roots.
    layers, terms = 3 * sum(config.blocks) + 2, 9 * 512
    typical = bound(config, expected, np.float32) / np.sqrt(layers * terms)
    assert np.abs(actual - expected).max() <= typical


def test_other_channels_and_classes_are_read_off_the_weights():
    """A network for one channel and three classes needs no further word."""
    config, state, net = network("basic", num_classes=3, in_channels=1)
    assert agrees(config, FusedResNet(config, state, threads=2, dtype=np.float64), net, images(2, 1, 40, 40))


def test_the_smallest_image_goes_through():
    """One pixel suffices, as it does for the textbook."""
    config, state, net = network("bottleneck")
    assert agrees(config, FusedResNet(config, state, threads=2, dtype=np.float64), net, images(1, 3, 1, 1))


def test_a_call_leaves_no_trace_in_the_next():
    """A batch between two alike changes neither; more shapes than plans are kept still work; logits are not reused."""
    config, state, _ = network("bottleneck")
    fused = FusedResNet(config, state, threads=2, dtype=np.float64)
    x, other = images(2, 3, 64, 64), images(2, 3, 64, 64, seed=1)
    first = fused(x)
    kept = first.copy()
    assert not np.array_equal(fused(other), first)
    for size in range(33, 39):
        fused(images(1, 3, size, size))
    assert np.array_equal(fused(x), kept)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("tricks", [Tricks(), PLAIN], ids=["all", "plain"])
def test_nan_in_an_image_is_nan_in_its_logits_alone(tricks):
    """One pixel of NaN in the second image gives it logits of NaN and leaves those of the first alone."""
    config, state, _ = network("bottleneck")
    fused = FusedResNet(config, state, threads=2, tricks=tricks, dtype=np.float64)
    x = images(2, 3, 64, 64)
    clean = fused(x)
    x[1, 2, 30, 30] = np.nan
    logits = fused(x)
    assert np.isnan(logits[1]).all()
    assert np.array_equal(logits[0], clean[0])
    x[1, 2, 30, 30] = 0.0
    assert np.isfinite(fused(x)).all()


def test_the_plan_says_how_each_layer_runs_and_why():
    """A line for every convolution, the pooling and the head, at most 80 columns, after two about the whole."""
    _, state, _ = network("resnet50")
    fused = build("resnet50", state, threads=2, tricks=Tricks(blocked="always"))
    head, tricks, *lines = str(fused.plan((1, 3, 224, 224))).splitlines()
    assert head.startswith("1 x 224x224, float32, threads: 2, phases: 43, calls: ")
    assert tricks == "tricks: pointwise, blocked, winograd, shifted, interleaved"
    convs = {key.removesuffix(".weight") for key, array in state.items() if array.ndim == 4}
    assert {line.split()[0] for line in lines} == convs | {"maxpool", "avgpool", "fc"}
    assert max(map(len, (head, tricks, *lines))) <= 80
    assert "layer1.0.conv2        Winograd F(4x4) 98x64         3x3, 196 tiles of 4x4" in lines
    assert "layer4.1.conv2        patches 36 sums of 49x64      3x3, too few tiles" in lines
    network.cache_clear()
