"""Example 5: the tutorial's check is fooled, layerdiff is not, and a right network is the same to both."""

from __future__ import annotations

import parity_check
import pytest
import torch

from layerdiff import load_image, load_weights, preprocess, torchvision_model

FOOLED = "layer2.0.shortcut.1"


@pytest.fixture(scope="module")
def state():
    """Torchvision's tensors."""
    return torchvision_model("resnet18", load_weights("synthetic", "resnet18")).state_dict()


def test_the_check_is_fooled_and_layerdiff_is_not(show):
    """Two of three norms that were not loaded pass as equal; layerdiff finds the layer, and G2 confirmed."""
    printed, figures = show(parity_check.command)

    right, *wrong = figures["checks"].values()
    assert right["says"] == "equal"
    assert abs(right["signed"]) <= right["absolute"] < 1e-5
    assert [one["says"] for one in wrong] == ["equal", "not equal", "equal"]
    assert all(one["absolute"] > 0.05 for one in wrong)
    assert all((one["signed"] < 0) == (one["says"] == "equal") for one in wrong)
    assert figures["layerdiff"] == {
        "nothing": {"verdict": "same", "layers at fault": [], "causes": []},
        FOOLED: {"verdict": "different", "layers at fault": ["layer2.0.downsample.1"], "causes": ["G2 confirmed"]},
    }
    said = " ".join(printed.split())
    assert "same: 69 of 69 layers" in said
    assert "cause G2 the parameters are at their initial values" in said
    assert "different: 1 layer at fault" in said


def test_the_misspelt_map_leaves_one_batch_norm_as_it_began(state):
    """Its four tensors are those of a new batch norm; all others are torchvision's."""
    found = parity_check.loaded(state, parity_check.misspelt(2)).state_dict()
    renamed = {key.replace("downsample", "shortcut"): tensor for key, tensor in state.items()}
    unlike = {key for key, tensor in found.items() if not torch.equal(tensor, renamed[key])}
    assert unlike == {f"{FOOLED}.{kind}" for kind in ("weight", "bias", "running_mean", "running_var")}
    fresh = parity_check.BatchNorm2d(128).state_dict()
    assert all(torch.equal(found[f"{FOOLED}.{kind}"], tensor) for kind, tensor in fresh.items())


def test_strict_would_have_said_so(state, monkeypatch):
    """The right map loads strictly; the misspelt one does not, and torch names the keys."""
    load = parity_check.ResNet18.load_state_dict
    monkeypatch.setattr(parity_check.ResNet18, "load_state_dict", lambda self, state, strict: load(self, state))
    parity_check.loaded(state, parity_check.NAMES)
    with pytest.raises(RuntimeError, match=rf"(?s)Missing.*{FOOLED}\.weight.*Unexpected.*layer2\.0\.shorcut\.1"):
        parity_check.loaded(state, parity_check.misspelt(2))


def test_the_check_has_no_absolute_value():
    """What is less by a half passes, what is more by a thousandth does not; the absolute value shows both."""
    theirs = torch.tensor([0.5, 0.25, 0.125, 0.0625, 0.03125])
    half, more = parity_check.check(theirs / 2, theirs), parity_check.check(theirs + 2**-10, theirs)
    assert (half.says, half.signed, half.absolute) == ("equal", -0.015625, 0.25)
    assert (more.says, more.signed, more.absolute) == ("not equal", 2**-10, 2**-10)


def test_it_is_luck(state):
    """Of nine norms, three each of three sets of weights, six pass as equal, as docs/classroom.md says."""
    x = torch.from_numpy(preprocess((load_image(None),), architecture="resnet18"))
    fooled = []
    for seed in range(3):
        theirs = torchvision_model("resnet18", load_weights(f"synthetic:{seed}", "resnet18"))
        expected = parity_check.probabilities(theirs, x)
        best = expected.topk(5).indices
        for stage in (2, 3, 4):
            network = parity_check.loaded(theirs.state_dict(), parity_check.misspelt(stage))
            found = parity_check.check(parity_check.probabilities(network, x)[best], expected[best])
            fooled.append(found.says == "equal")
    assert fooled == [True, False, True, False, True, False, True, True, True]


def test_what_cannot_be_used_is_said(refused, tmp_path):
    """Weights that are no such thing, those of a file that is not there, a photo that is none: words, exit code 2."""
    assert refused(parity_check.command, "--weights", "mine").startswith("error: weights: no such spec, got 'mine'")
    gone = tmp_path / "none.pth"
    assert refused(parity_check.command, "--weights", gone).startswith(f"error: {gone}: ")
    photo = tmp_path / "none.png"
    assert refused(parity_check.command, "--photo", photo) == (
        f"error: {photo}: no such picture, got nothing there, expected an image file\n"
    )
