"""Synthetic weights: the same bytes everywhere, and a network in which every parameter matters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from layerdiff.reference import load_image, load_weights, preprocess, torchvision_model
from layerdiff.reference.synthetic import synthetic_state
from layerdiff.reference.weights import make_weights

SHA256 = {
    "resnet18": "5002a6deb941a874cd3eab79de5620de1a0d5304e397369550f112bd5216e759",
    "resnet50": "7271befae81b313e57992077086dd9aa968d9612a4da78af392370f7f79a0ef8",
}


@pytest.fixture(scope="module")
def resnet50():
    """synthetic:0 for a network of bottlenecks."""
    return load_weights("synthetic:0", "resnet50")


def test_bytes_are_pinned(resnet18, resnet50):
    """The same seed gives the same bytes on every machine and in every release."""
    assert {"resnet18": resnet18.sha256, "resnet50": resnet50.sha256} == SHA256


@pytest.mark.parametrize("threads", [1, 2])
def test_bytes_do_not_depend_on_threads_or_kernels(resnet18, monkeypatch, threads):
    """One thread with torch's own kernels, or two with oneDNN's: the same bytes."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", threads == 2)
        state = synthetic_state("resnet18", 0)
    finally:
        torch.set_num_threads(before)

    assert make_weights("resnet18", "", "", state).sha256 == resnet18.sha256


def test_draws_leave_other_generators_alone():
    """Making weights up neither reads nor moves the global generators."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    synthetic_state("resnet18", 3)

    assert torch.equal(expected, torch.rand(3))


def test_no_parameter_is_at_its_default(resnet50):
    """A batch norm that forgets γ, β, mean or variance is wrong in every layer and nearly every channel."""
    defaults = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
    for name, value in resnet50.state.items():
        if value.ndim == 1:
            near = np.abs(value - defaults[name.rsplit(".", 1)[1]]) < 1e-3
            # a faint channel's mean is small beside 1, though not beside its own deviation
            assert near.mean() < (0.3 if name.endswith("running_mean") else 0.05), name


def test_a_fifth_of_gamma_is_negative(resnet50):
    """So that what is done between a batch norm and its ReLU cannot be undone by luck."""
    gammas = np.concatenate([value for name, value in resnet50.state.items() if value.ndim == 1 and "weight" in name])

    assert 0.17 < (gammas < 0).mean() < 0.23


def test_eps_matters_in_some_channels(resnet50):
    """In every network some channels vary so little that an eps of 1e-3 for 1e-5 changes them much."""
    variances = np.concatenate([value for name, value in resnet50.state.items() if name.endswith("running_var")])

    assert 0.03 < (variances < 1e-3).mean() < 0.1
    assert variances.min() > 1e-6
    assert np.quantile(variances, 0.03) < 1e-4


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_activations_look_like_a_trained_networks(architecture):
    """On a real photo: few dead channels, one scale through the depth, logits that decide without certainty."""
    weights = load_weights("synthetic:0", architecture)
    network = torchvision_model(architecture, weights)
    seen = []
    for module in network.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_forward_hook(lambda _, __, output: seen.append(output[0]))
    with torch.inference_mode():
        logits = network(torch.from_numpy(preprocess([load_image(None)], architecture=architecture)))[0]

    dead = [float((x.amax((1, 2)) <= 0).float().mean()) for x in seen]
    scales = [float(x.std()) for x in seen]
    assert max(dead) < 0.1
    assert np.mean(dead) < 0.02
    assert min(scales) > 0.2
    assert max(scales) < 2
    assert 1 < logits.std() < 4
    assert logits.softmax(0).max() < 0.5


def test_pictures_are_told_apart(resnet18):
    """Two different pictures do not have the same logits, nearly."""
    network = torchvision_model("resnet18", resnet18)
    x = torch.from_numpy(preprocess([load_image(None)], architecture="resnet18", size=(96, 96)))
    with torch.inference_mode():
        one, other = network(x)[0], network(x.flip(1).flip(3) * 0.5)[0]

    assert (one - other).std() > 0.1 * one.std()
