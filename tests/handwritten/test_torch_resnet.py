"""The residual networks of the torch half: names, order and loading. Their values: test_networks.py."""

from __future__ import annotations

import pytest
import torch

from layerdiff.handwritten import torch_resnet
from layerdiff.handwritten.configurations import CONFIGURATIONS


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_tensors_and_modules_are_named_and_ordered_as_torchvisions(name, torchvision_blank):
    """Same state-dict keys in the same order with the same shapes; same module paths, but for our Flatten."""
    with torch.device("meta"):
        ours = getattr(torch_resnet, name)()
    theirs = torchvision_blank(name)
    assert [(k, v.shape, v.dtype) for k, v in ours.state_dict().items()] == [
        (k, v.shape, v.dtype) for k, v in theirs.state_dict().items()
    ]
    paths = [path for path, _ in ours.named_modules()]
    assert paths.pop(-2) == "flatten"
    assert paths == [path for path, _ in theirs.named_modules()]


def test_state_dicts_load_both_ways(torchvision_blank, random_state):
    """What torchvision saves we load strictly, and what we save torchvision loads strictly, unchanged."""
    theirs, ours = torchvision_blank("resnet18").to_empty(device="cpu"), torch_resnet.resnet18()
    state = random_state(theirs, 0)
    ours.load_state_dict(state)
    theirs.load_state_dict(ours.state_dict())
    assert all(torch.equal(tensor, state[key].to(tensor.dtype)) for key, tensor in theirs.state_dict().items())


def test_a_network_can_have_other_channels_and_classes():
    """For small experiments: one channel in, ten classes out."""
    network = torch_resnet.build("resnet18", num_classes=10, in_channels=1).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 1, 33, 40)).shape == (2, 10)


def test_a_freshly_built_network_is_in_training_mode():
    """As torch builds them."""
    with torch.device("meta"):
        assert torch_resnet.resnet18().training


def test_an_unknown_name_is_refused():
    """The message is tested in test_configurations; here, that `build` gives it."""
    with pytest.raises(ValueError, match=r"^build: unknown network, got 'resnet5'"):
        torch_resnet.build("resnet5")
