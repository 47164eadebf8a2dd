"""Example 7: a ResNet-50 written out, with whole weights and with a part of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import resnet50_from_nothing

from layerdiff import load_weights
from layerdiff.handwritten import numpy_resnet
from layerdiff.reference import export_text


@pytest.fixture(scope="module")
def weights():
    """Synthetic ones."""
    return load_weights("synthetic", "resnet50")


@pytest.fixture
def partial(weights, tmp_path):
    """Writes a text dump of some of the tensors, and gives its folder."""

    def write(*starts):
        state = {name: value for name, value in weights.state.items() if name.startswith(starts)}
        export_text(replace(weights, state=state), tmp_path / "dump")
        return tmp_path / "dump"

    return write


def test_the_stages_are_the_twins(weights):
    """Every stage gives, to the bit, what the NumPy ResNet-50 that is judged against torchvision's gives there."""
    twin = numpy_resnet.build("resnet50")
    twin.load_state_dict(weights.state)
    seen = {}
    for name in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"):
        getattr(twin, name).register_forward_hook(lambda _, __, y, name=name: seen.update({name: y}))
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 96), dtype=np.float32)
    twin(x)

    stages = dict(resnet50_from_nothing.resnet50(weights.state, x))
    assert list(stages) == list(seen)
    for name, y in stages.items():
        np.testing.assert_array_equal(y, seen[name], err_msg=name)


def test_the_example_on_the_cat(show):
    """Whole weights: seven stages, the five best classes by falling share, and a time for each way to convolve."""
    printed, figures = show(resnet50_from_nothing.command, "--weights", "synthetic")

    assert (figures["until"], figures["shape"], figures["photo"]) == ("fc", (1, 1000), "scikit-image's cat")
    shares = list(figures["top-5"].values())
    assert len(shares) == 5
    assert 1 >= shares[0] > shares[1] > shares[2] > shares[3] > shares[4] > 0
    assert list(figures["milliseconds"]) == ["loops", "im2col", "gemm", "torch"]
    lines = printed.splitlines()
    stages = [line.split()[0] for line in lines if line.startswith(("conv1 ", "bn1", "layer", "fc"))][:7]
    assert stages == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    assert "Synthetic weights know nothing of pictures; the names mean nothing." in lines
    assert "37x37 pixels, 256 of 12,544 windows; their time is extrapolated" in " ".join(printed.split())


def test_partial_weights_run_as_far_as_they_go(show, partial):
    """A text dump of conv1 and bn1 runs up to bn1, and says that no class can be named."""
    folder = partial("conv1", "bn1")
    printed, figures = show(resnet50_from_nothing.command, "--weights", f"txt:{folder}")

    assert (figures["until"], figures["shape"]) == ("bn1", (1, 64, 112, 112))
    assert "top-5" not in figures
    assert "The weights end with bn1: 262 tensors are lacking, so no class can be named." in printed


def test_what_cannot_be_used_is_said(refused, partial, tmp_path):
    """Weights without the first layer, a folder that is not there, a photo that is none: words and exit code 2."""
    spec = f"txt:{partial('bn1')}"
    assert refused(resnet50_from_nothing.command, "--weights", spec) == (
        f"error: {spec}: nothing to compute, got weights without conv1, expected that at least\n"
    )
    assert refused(resnet50_from_nothing.command, "--weights", f"txt:{tmp_path / 'none'}").startswith(
        f"error: {tmp_path / 'none'}: no such text dump"
    )
    said = refused(resnet50_from_nothing.command, "--weights", "synthetic", "--photo", tmp_path)
    assert said == f"error: {tmp_path}: no such picture, got a directory, expected an image file\n"


@pytest.mark.usefixtures("in_full")
def test_real_weights_reach_the_second_stage(show, shared_data):
    """The real text dump is whole up to layer2, and the run ends there."""
    spec = f"txt:{shared_data / 'weights' / 'resnet50_txt'}"
    photo = shared_data / "data" / "photos" / "cat.jpg"
    _, figures = show(resnet50_from_nothing.command, "--weights", spec, "--photo", photo)
    assert (figures["until"], figures["shape"]) == ("layer2", (1, 512, 28, 28))
