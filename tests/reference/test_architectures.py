"""torchvision's networks: what they hold, how they are built."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision

from layerdiff.reference import (
    ARCHITECTURES,
    categories,
    expected_tensors,
    state_dict,
    torchvision_model,
    weights_record,
)
from layerdiff.reference.architectures import blank_network


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_expected_tensors_are_those_of_torchvision(name):
    """Names, order and shapes are torchvision's, without the batch counters."""
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name).state_dict()
    expected = [(key, tuple(value.shape)) for key, value in theirs.items() if value.is_floating_point()]

    assert expected == list(expected_tensors(name).items())


def test_each_blank_network_is_one_of_its_own():
    """What is done to one (hooks, modes, other layers) is not seen in the next."""
    first = blank_network("resnet18")
    first.fc, first.conv1.stride, expected = torch.nn.Identity(), (1, 1), expected_tensors("resnet18")
    second = blank_network("resnet18")

    assert second.conv1.stride == (2, 2)
    assert {key for key in second.state_dict() if "num_batches" not in key} == set(expected)
    assert not {id(value) for value in first.parameters()} & {id(value) for value in second.parameters()}


def test_model_computes_what_torchvision_computes(resnet18):
    """The network with our loading and ReLU not in place gives the very logits of torchvision's own."""
    theirs = torchvision.models.resnet18()
    theirs.load_state_dict(state_dict(resnet18), strict=True)
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(theirs.eval()(x), torchvision_model("resnet18", resnet18)(x))


def test_model_is_ready_to_be_watched(resnet18):
    """Evaluation mode, no gradients asked for, and no ReLU that overwrites its input."""
    network = torchvision_model("resnet18", resnet18)

    assert not any(module.training for module in network.modules())
    assert not any(value.requires_grad for value in network.parameters())
    assert not any(getattr(module, "inplace", False) for module in network.modules())
    assert all(int(value) == 0 for key, value in network.state_dict().items() if key.endswith("num_batches_tracked"))


def test_model_holds_its_own_copy(resnet18):
    """Changing the network leaves the weights as they were, and these cannot be changed at all."""
    network = torchvision_model("resnet18", resnet18)
    before = resnet18.state["conv1.weight"].copy()
    network.conv1.weight.zero_()

    np.testing.assert_array_equal(before, resnet18.state["conv1.weight"])
    with pytest.raises(ValueError, match="read-only"):
        resnet18.state["conv1.weight"][0] = 0
    with pytest.raises(TypeError):
        resnet18.state["conv1.weight"] = before


def test_model_without_weights_is_the_same_every_time():
    """The random initialisation has a seed of its own and leaves torch's generator alone."""
    torch.manual_seed(1)
    first = torchvision_model("resnet18").conv1.weight
    drawn = torch.rand(3)
    torch.manual_seed(2)
    second = torchvision_model("resnet18").conv1.weight
    torch.manual_seed(1)

    assert torch.equal(first, second)
    assert torch.equal(drawn, torch.rand(3))


def test_unknown_architecture_names_the_nearest(refusal):
    """The message lists the networks there are and suggests the one that was probably meant."""
    for call in (torchvision_model, expected_tensors, categories):
        text = refusal(call, "ResNet-50")
        assert "got 'ResNet-50'" in text
        assert "wide_resnet50_2" in text
        assert "help: did you mean resnet50?" in text
    assert "help" not in refusal(expected_tensors, "vgg")


def test_another_networks_weights_are_refused(resnet18, refusal):
    """Weights know whose they are."""
    assert "got resnet18, expected resnet34" in refusal(torchvision_model, "resnet34", resnet18)


def test_weights_record_is_torchvisions(refusal):
    """The record is found in any case of letters; one never published is refused with those that were."""
    assert weights_record("resnet50", "imagenet1k_v2") is torchvision.models.ResNet50_Weights.IMAGENET1K_V2
    text = refusal(weights_record, "resnet18", "imagenet1k_v2")
    assert text.endswith("got 'imagenet1k_v2', expected imagenet1k_v1")
    assert refusal(weights_record, "resnet50", "default").endswith("expected imagenet1k_v1 or imagenet1k_v2")


def test_categories_are_imagenets():
    """A thousand classes, in the order of the logits."""
    names = categories("resnet50")

    assert len(names) == 1000
    assert (names[0], names[281]) == ("tench", "tabby")
