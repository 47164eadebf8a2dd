"""Both handwritten networks against torchvision's: every architecture, and torchvision's real weights."""

from __future__ import annotations

import numpy as np
import pytest

from layerdiff import capture, load_image, load_weights, preprocess, state_dict, torchvision_model
from layerdiff.compare.check import compare_with
from layerdiff.handwritten import numpy_resnet, torch_resnet
from layerdiff.reference import ARCHITECTURES, covered_prefix, expected_tensors


def twins(weights):
    """Both handwritten networks with these weights."""
    ours = torch_resnet.build(weights.architecture).eval()
    ours.load_state_dict(state_dict(weights), strict=True)
    twin = numpy_resnet.build(weights.architecture)
    shapes = expected_tensors(weights.architecture)
    twin.load_state_dict({name: weights.state.get(name, np.zeros(shapes[name], np.float32)) for name in shapes})
    return ours, twin


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_same(name):
    """Every layer of both networks is same, in both precisions, on a batch of two oblong images."""
    weights = load_weights("synthetic:5", name)
    x = preprocess([load_image(None)], architecture=name, size=(65, 49), batch=2)
    expected = capture(torchvision_model(name, weights), x)

    for twin in twins(weights):
        report = compare_with(expected, twin, x)

        assert report.verdict == "same"
        assert len(report.layers) == len(expected.ops)
        assert all(len(layer.measures) == 6 for layer in report.layers)


@pytest.fixture(scope="module")
def real(shared_data):
    """Torchvision's ResNet-50 V1 weights, as far as the text dump has them."""
    return load_weights(f"txt:{shared_data / 'weights' / 'resnet50_txt'}", "resnet50")


@pytest.mark.parametrize("photo", ["cat", "cow", "dog", "horse"])
def test_real_weights_on_real_photos_are_same(real, shared_data, photo):
    """With torchvision's own weights, on each of the four photos, all 78 layers up to layer2 are same."""
    x = preprocess([load_image(shared_data / "data" / "photos" / f"{photo}.jpg")], architecture="resnet50")
    until = covered_prefix(real)
    expected = capture(torchvision_model("resnet50", real), x, until=until)

    assert until == "layer2"
    for twin in twins(real):
        report = compare_with(expected, twin, x, until=until)

        assert (report.verdict, len(report.layers)) == ("same", 78)
