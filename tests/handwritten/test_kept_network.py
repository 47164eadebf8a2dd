"""The network that keeps every layer: each is the textbook's layer on what went into it, to within rounding."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from fused_kit import SMALL, images, network

from layerdiff.handwritten import kept, numpy_resnet
from layerdiff.handwritten.configurations import CONFIGURATIONS
from layerdiff.handwritten.fused import magnification
from layerdiff.handwritten.kept import KeptResNet
from layerdiff.handwritten.numpy_layers import AdaptiveAvgPool2d, Add, BatchNorm2d, Conv2d, Linear
from layerdiff.handwritten.numpy_ops import conv2d

SHAPES = [(1, 3, 96, 96), (2, 3, 65, 47), (3, 3, 97, 130)]
WINOGRAD = pytest.mark.parametrize("winograd", [False, True], ids=["products", "winograd"])


def rounding(terms, dtype):
    """Higham 2002, section 3.1: what a sum of so many terms, in any order, may lose, in units of the absolute terms."""
    loss = terms * np.finfo(dtype).eps / 2
    return loss / (1 - loss)


def allowed(layer, inputs, dtype, *, winograd):
    """By how much what `layer` gives in `dtype` may differ from the exact output; 0 where nothing is rounded."""
    (x, *_), kind = inputs, type(layer)
    if kind is Conv2d:
        how = {"stride": layer.stride, "padding": layer.padding, "groups": layer.groups}
        size, bias = np.abs(layer.weight), None if layer.bias is None else np.abs(layer.bias)
        if winograd and (layer.kernel_size, layer.stride) == ((3, 3), (1, 1)):
            # See `magnification`: a tile's norm is at most that of the image's channel; both transforms sum 36 terms.
            of_image = np.linalg.norm(x, axis=(2, 3)).reshape(len(x), layer.groups, -1)
            of_kernels = np.linalg.norm(size, axis=(2, 3)).reshape(layer.groups, -1, size.shape[1])
            terms = np.einsum("ngc,goc->ngo", of_image, of_kernels).reshape(len(x), -1, 1, 1) * magnification(4)
            return rounding(size.shape[1] + 2 * 36 + 2, dtype) * terms
        return rounding(size[0].size + 2, dtype) * conv2d(np.abs(x), size, bias, **how)
    if kind is BatchNorm2d:
        # Factor and summand round as often as the textbook's: no value goes through more than eight roundings.
        scale = np.abs(layer.weight / np.sqrt(layer.running_var + layer.eps))[:, None, None]
        mean, bias = (np.abs(array)[:, None, None] for array in (layer.running_mean, layer.bias))
        return rounding(8, dtype) * (scale * (np.abs(x) + mean) + bias)
    if kind is Add:
        return rounding(1, dtype) * np.abs(x + inputs[1])
    if kind is AdaptiveAvgPool2d:
        return rounding(x[0, 0].size + 1, dtype) * np.abs(x).mean(axis=(2, 3), keepdims=True)
    if kind is Linear:
        return rounding(x.shape[1] + 1, dtype) * (np.abs(x) @ np.abs(layer.weight).T + np.abs(layer.bias))
    return 0.0


def judge(net, x, layers, *, winograd=True):
    """Compares every layer with the textbook's, each on what `layers` says went into it; gives the names in order.

    The textbook is in float64, so it rounds too: that much is allowed besides.
    """
    uses, names = Counter(), []
    dtype = layers["fc"].dtype

    def watched(path, layer, forward):
        def run(*inputs):
            name = path if not uses[path] else f"{path}_{uses[path]}"
            uses[path] += 1
            names.append(name)
            expected, actual = forward(*inputs), layers[name]
            assert (actual.shape, actual.dtype) == (expected.shape, dtype), name
            room = allowed(layer, inputs, dtype, winograd=winograd) + allowed(layer, inputs, np.float64, winograd=False)
            excess = np.abs(actual - expected) - room
            assert (excess <= 0).all(), f"{name}: beyond the bound by {excess.max():.3g}"
            return actual.astype(np.float64)

        return run

    leaves = [(path, layer) for path, layer in net.named_layers() if next(layer.children(), None) is None]
    try:
        for path, layer in leaves:
            layer.forward = watched(path, layer, layer.forward)
        net(x.astype(np.float64))
    finally:
        for _, layer in leaves:
            vars(layer).pop("forward", None)
    return names


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_layer_of_every_architecture_is_the_textbooks(name):
    """All layers are there, in the textbook's order and under its names, each equal to within its own rounding."""
    _, state, net = network(name)
    x = images(1, 3, 45, 38)
    layers = kept.build(name, state, threads=2, dtype=np.float64).layers(x)
    names = judge(net, x, layers)
    assert sorted(names) == sorted(layers)
    network.cache_clear()


@WINOGRAD
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", SMALL)
def test_every_shape_in_every_layer_with_the_same_bits_for_any_number_of_threads(kind, shape, winograd):
    """Odd sizes, several images, tiles cut off at the edge; one, two and three threads agree in every bit."""
    config, state, net = network(kind)
    x = images(*shape)
    networks = [KeptResNet(config, state, threads=t, dtype=np.float64, winograd=winograd) for t in (1, 2, 3)]
    first, *others = (one.layers(x) for one in networks)
    judge(net, x, first, winograd=winograd)
    for other in others:
        assert list(other) == list(first)
        for name, array in first.items():
            assert np.array_equal(other[name], array), name


@WINOGRAD
@pytest.mark.parametrize("kind", SMALL)
def test_in_float32_every_layer_is_within_the_rounding_of_float32(kind, winograd):
    """The same for float32, against the textbook's layers in float64 on the same inputs."""
    config, state, net = network(kind)
    x = images(2, 3, 96, 80).astype(np.float32)
    judge(net, x, KeptResNet(config, state, threads=2, winograd=winograd).layers(x), winograd=winograd)


@pytest.mark.parametrize("small", [False, True])
def test_products_may_be_cut_for_the_blas_or_not(small, monkeypatch):
    """Whether the BLAS has kernels for small matrices or not, every layer is the textbook's."""
    monkeypatch.setattr(kept.network, "has_small_kernels", lambda: small)
    config, state, net = network("bottleneck")
    x = images(2, 3, 96, 80)
    judge(net, x, KeptResNet(config, state, threads=2, dtype=np.float64).layers(x))


def test_a_bias_of_the_stem_is_part_of_its_output():
    """A network whose first convolution has a bias gives it there, and not in the batch norm."""
    config = SMALL["basic"]
    net = numpy_resnet.ResNet(config, num_classes=4, stem_bias=True)
    generator = np.random.default_rng(0)
    net.load_state_dict({name: generator.uniform(0.1, 1, a.shape) for name, a in net.state_dict().items()})
    x = images(2, 3, 40, 33)
    judge(net, x, KeptResNet(config, net.state_dict(), threads=2, dtype=np.float64).layers(x))


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 2, 3)], ids=str)
def test_the_smallest_images_go_through(shape):
    """One pixel suffices, as it does for the textbook."""
    config, state, net = network("bottleneck")
    x = images(*shape)
    judge(net, x, KeptResNet(config, state, threads=2, dtype=np.float64).layers(x))


def test_other_channels_and_classes_are_read_off_the_weights():
    """A network for one channel and three classes needs no further word."""
    config, state, net = network("basic", num_classes=3, in_channels=1)
    x = images(2, 1, 40, 40)
    judge(net, x, KeptResNet(config, state, threads=2, dtype=np.float64).layers(x))


def test_layers_are_views_that_the_next_call_overwrites_and_logits_are_fresh():
    """No array is made anew between two batches of one shape; each call gives its own logits."""
    config, state, _ = network("bottleneck")
    one = KeptResNet(config, state, threads=2, dtype=np.float64)
    x, other = images(2, 3, 64, 64), images(2, 3, 64, 64, seed=1)
    logits, layers = one(x), one.layers(x)
    copies = {name: array.copy() for name, array in layers.items()}
    assert np.array_equal(layers["fc"], logits)
    again = one.layers(other)
    assert all(np.shares_memory(again[name], array) for name, array in layers.items())
    assert not np.array_equal(layers["conv1"], copies["conv1"])
    for size in range(33, 37):
        one(images(1, 3, size, size))
    for name, array in one.layers(x).items():
        assert np.array_equal(array, copies[name]), name
    assert np.array_equal(logits, copies["fc"])


def test_no_layer_shares_its_memory_with_another():
    """Each output is an array of its own; flattening alone is a view, as it is in torch."""
    config, state, _ = network("groups")
    layers = KeptResNet(config, state, threads=1).layers(images(1, 3, 33, 40).astype(np.float32))
    layers.pop("flatten")
    found = list(layers.values())
    assert not any(np.shares_memory(a, b) for i, a in enumerate(found) for b in found[:i])


def test_nan_in_an_image_is_nan_in_its_layers_alone():
    """One pixel of NaN in the second image leaves the first as it was, and is gone with the next batch."""
    config, state, _ = network("bottleneck")
    one = KeptResNet(config, state, threads=2, dtype=np.float64)
    x = images(2, 3, 64, 64)
    clean = {name: array.copy() for name, array in one.layers(x).items()}
    x[1, 2, 30, 30] = np.nan
    for name, array in one.layers(x).items():
        assert np.array_equal(array[0], clean[name][0]), name
        assert np.isnan(array[1]).any(), name
    x[1, 2, 30, 30] = 0.0
    assert all(np.isfinite(array).all() for array in one.layers(x).values())


@WINOGRAD
def test_the_plan_says_how_each_layer_runs_and_why(winograd):
    """A line for every convolution, the pooling and the head, at most 80 columns, after one about the whole."""
    _, state, _ = network("resnet50")
    plan = kept.build("resnet50", state, threads=2, winograd=winograd).plan((1, 3, 224, 224))
    head, *lines = str(plan).splitlines()
    assert head.startswith("1 x 224x224, float32, threads: 2, phases: ")
    convs = {key.removesuffix(".weight") for key, array in state.items() if array.ndim == 4}
    assert {line.split()[0] for line in lines} == convs | {"maxpool", "avgpool", "fc"}
    assert max(map(len, (head, *lines))) <= 80
    assert any("Winograd" in line for line in lines) is winograd
    assert plan.bytes > 4 * 37e6  # values of all layers
    network.cache_clear()


@pytest.mark.parametrize(
    ("x", "found"),
    [
        ([1.0], "not an array but list"),
        (np.zeros((1, 3, 8, 8)), "dtype float64 instead of float32"),
        (np.zeros((3, 8, 8), np.float32), "shape (3, 8, 8), not (n, c, h, w)"),
        (np.zeros((1, 8, 8, 3), np.float32), "8 channels instead of 3"),
        (np.zeros((0, 3, 8, 8), np.float32), "no pixels in shape (0, 3, 8, 8)"),
        (np.zeros((1, 4, 0, 8)), "dtype float64 instead of float32; 4 channels instead of 3; no pixels in shape"),
    ],
    ids=["list", "dtype", "axes", "channels", "empty", "all"],
)
@pytest.mark.parametrize("call", [KeptResNet.__call__, KeptResNet.layers], ids=["logits", "layers"])
def test_other_than_images_is_refused(x, found, call):
    """Everything that is wrong is named at once, with what is expected."""
    config, state, _ = network("basic")
    with pytest.raises(ValueError, match="KeptResNet: not images for this network, got ") as caught:
        call(KeptResNet(config, state, threads=1), x)
    assert found in str(caught.value)
    assert str(caught.value).endswith("expected float32 of (n, 3, h, w)")
    assert any("channels come first" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "KeptResNet: unusable threads, got 0, expected at least 1"),
        ({"dtype": np.float16}, "KeptResNet: unusable dtype, got float16, expected float32 or float64"),
    ],
    ids=["threads", "dtype"],
)
def test_arguments_of_no_use_are_refused(options, message):
    """The error names what was given and what may be."""
    config, state, _ = network("basic")
    with pytest.raises(ValueError, match="KeptResNet") as caught:
        KeptResNet(config, state, **options)
    assert str(caught.value) == message
    assert len(caught.value.__notes__) == 1


def test_a_state_that_does_not_fit_and_an_unknown_name_are_refused():
    """All that is missing is listed, as by the textbook network; an unknown name is answered with those there are."""
    config, state, _ = network("basic")
    with pytest.raises(ValueError, match="ResNet") as caught:
        KeptResNet(config, {name: array for name, array in state.items() if "layer4" not in name})
    assert "layer4.0.conv1.weight" in "\n".join((str(caught.value), *caught.value.__notes__))
    with pytest.raises(ValueError, match="resnet50"):
        kept.build("resnet51", state)


def test_threads_are_as_many_as_the_cpus_one_may_use(monkeypatch):
    """Unless told otherwise; where the system cannot say which, as many as there are."""
    config, state, _ = network("basic")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {1, 4, 5}, raising=False)
    assert KeptResNet(config, state).threads == 3
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert KeptResNet(config, state).threads == 7
