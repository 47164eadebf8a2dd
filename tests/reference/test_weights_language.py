"""The weights language: every form it has, and what it says to any other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from layerdiff.reference import (
    LANGUAGE,
    covered_prefix,
    export_safetensors,
    load_weights,
    state_dict,
    torchvision_model,
)
from layerdiff.reference.weights import make_weights


def test_unknown_spec_lists_the_language(refusal):
    """Someone who guesses wrong learns all the forms there are."""
    text = refusal(load_weights, "imagenet", "resnet18")

    assert "got 'imagenet'" in text
    assert all(f"note: {form}" in text for form in LANGUAGE)


def test_a_bare_directory_is_pointed_to_txt(tmp_path, refusal):
    """A directory is most likely a text dump whose `txt:` was forgotten."""
    assert f"help: for a text dump: txt:{tmp_path}" in refusal(load_weights, str(tmp_path), "resnet18")


@pytest.mark.parametrize("seed", ["x", "-1", "", "1.5", "²"])
def test_a_seed_is_a_number(seed, refusal):
    """A seed that is no number is refused rather than taken for 0."""
    assert f"got 'synthetic:{seed}'" in refusal(load_weights, f"synthetic:{seed}", "resnet18")


def test_unknown_architecture_comes_first(refusal):
    """The architecture is checked before any file is opened."""
    assert "did you mean resnet18?" in refusal(load_weights, "nowhere.pth", "resnet81")


def test_synthetic_is_synthetic_0(resnet18):
    """The seed may be left out; another seed gives other weights."""
    assert load_weights("synthetic:0", "resnet18").sha256 == resnet18.sha256
    assert load_weights("synthetic:1", "resnet18").sha256 != resnet18.sha256


def test_same_weights_same_hash_whatever_the_file(resnet18, tmp_path):
    """A state dict of torch, one in safetensors and the weights themselves have one hash."""
    export_safetensors(resnet18, tmp_path / "a.safetensors")
    torch.save(state_dict(resnet18), tmp_path / "a.pt")
    hashes = {load_weights(str(tmp_path / file), "resnet18").sha256 for file in ("a.safetensors", "a.pt")}

    assert hashes == {resnet18.sha256}


def test_hash_sees_every_byte(resnet18):
    """One changed sign bit, even of a zero, changes the hash."""
    state = dict(resnet18.state)
    state["fc.bias"] = state["fc.bias"].copy()
    state["fc.bias"][7] = 0.0
    plus = make_weights("resnet18", "a", "a", state).sha256
    state["fc.bias"] = -state["fc.bias"] * np.where(np.arange(1000) == 7, 1, -1).astype(np.float32)
    assert state["fc.bias"][7] == 0

    assert plus != make_weights("resnet18", "a", "a", state).sha256


def test_state_dict_is_strict_loads_whole_story(resnet18):
    """It holds all that a strict load asks for, and is a copy."""
    full = state_dict(resnet18)

    assert list(full) == list(torchvision_model("resnet18").state_dict())
    full["conv1.weight"].zero_()
    assert resnet18.state["conv1.weight"].any()


def test_lacking_tensors_show_when_used(resnet18):
    """What a partial set lacks is NaN in the network, so that nothing computed from it can pass for a result."""
    state = {name: value for name, value in resnet18.state.items() if name != "layer3.0.conv1.weight"}
    partial = make_weights("resnet18", "txt:d", "d", state)
    network = torchvision_model("resnet18", partial)
    x = torch.rand(1, 3, 32, 32)

    assert partial.missing == ("layer3.0.conv1.weight",)
    assert network(x).isnan().all()
    assert network.layer2(network.layer1(network.maxpool(network.bn1(network.conv1(x))))).isfinite().all()


@pytest.mark.parametrize(
    ("lacking", "covered"),
    [
        (None, "fc"),
        ("fc.bias", "layer4"),
        ("layer3.1.bn2.running_var", "layer2"),
        ("layer1.0.conv1.weight", "bn1"),
        ("bn1.bias", "conv1"),
        ("conv1.weight", None),
    ],
)
def test_covered_prefix_is_the_last_whole_stage(resnet18, lacking, covered):
    """A run can go as far as the stage before the first tensor that is lacking, whatever is there after it."""
    state = {name: value for name, value in resnet18.state.items() if name != lacking}

    assert covered == covered_prefix(make_weights("resnet18", "txt:d", "d", state))


def test_weights_are_frozen(resnet18):
    """What a report says of its weights stays true."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        resnet18.source = "elsewhere"
