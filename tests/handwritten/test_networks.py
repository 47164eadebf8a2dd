"""Whole networks, both handwritten halves, against torchvision's in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from layerdiff.handwritten import numpy_resnet, torch_resnet
from layerdiff.handwritten.configurations import CONFIGURATIONS


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_logits_are_torchvisions(name, torchvision_blank, random_state):
    """On a batch of odd, oblong images with no tensor at its default, both halves give torchvision's logits.

    In float64 rounding leaves some 1e-14 of the largest logit after 152 layers; an eps of 1.001e-5 for 1e-5 in a
    single batch norm leaves 1e-6. 1e-9 lies between.
    """
    blank = torchvision_blank(name)
    state = random_state(blank, seed=len(name))
    x = np.random.default_rng(1).standard_normal((2, 3, 65, 49))
    with torch.device("meta"):
        ours = torch_resnet.build(name)
    twin = numpy_resnet.build(name)
    twin.load_state_dict({key: tensor.numpy() for key, tensor in state.items()})
    with torch.no_grad():
        expected = logits(blank, state, x)
        for actual in (logits(ours, state, x), twin(x)):
            assert actual.dtype == np.float64
            assert np.isfinite(expected).all()
            assert np.abs(actual - expected).max() <= 1e-9 * np.abs(expected).max()


def logits(blank, state, x):
    """The logits of a network that had no memory, filled with `state` as it is."""
    blank.load_state_dict(state, assign=True)
    return blank.eval()(torch.from_numpy(x)).numpy()


def test_training_follows_torchvision(torchvision_blank, random_state):
    """One step of training gives torchvision's gradients and moves the running statistics as torchvision's."""
    theirs = torchvision_blank("resnet18")
    with torch.device("meta"):
        ours = torch_resnet.resnet18()
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((4, 3, 65, 49)))
    for network in (theirs, ours):
        network.load_state_dict(random_state(network, 0), assign=True)
        network.requires_grad_().train()
        (network(x) * torch.linspace(-1, 1, 1000, dtype=torch.float64)).sum().backward()
    for (name, actual), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        largest = expected.grad.abs().max()
        assert (actual.grad - expected.grad).abs().max() <= 1e-8 * largest, name
    for (name, actual), expected in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        assert (actual - expected).abs().max() <= 1e-9 * expected.abs().max(), name


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_layers_run_in_torchvisions_order(name, torchvision_blank):
    """Max-pool and ReLU commute, so the logits cannot tell their order, but a comparison layer by layer can."""
    theirs = torchvision_blank(name)
    with torch.device("meta"):
        ours = torch_resnet.build(name)
        x = torch.zeros(2, 3, 33, 40)
    expected = order_of_calls(theirs, theirs.named_modules(), x)
    assert order_of_calls(ours, ours.named_modules(), x) == expected
    twin = numpy_resnet.build(name)
    assert order_of_calls(twin, twin.named_layers(), np.zeros((2, 3, 33, 40), dtype=np.float32)) == expected


def order_of_calls(network, layers, x):
    """The paths of the layers without children, as often and in the order in which they run; not Add and Flatten."""
    calls = []
    for path, layer in layers:
        if not list(layer.children()) and path.rpartition(".")[2] not in {"add", "flatten"}:
            layer.register_forward_hook(lambda *_, path=path: calls.append(path))
    network(x)
    return calls
