"""The fused network at the command: judged at its blocks, in both precisions, and what it cannot do."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from layerdiff import InputError, run
from layerdiff.by_plan import fused_network
from layerdiff.subject import load_subject


def _judged(**options):
    small = {"size": (65, 47), "batch": 2} | options
    return run("fused", expected="torchvision:resnet18", weights="synthetic", **small)


def test_the_fused_network_is_same_at_its_blocks():
    """Every layer is compared, alone or with the block it is in, by itself and end to end, in float32 and float64."""
    (report,) = _judged().reports

    assert report.verdict == "same"
    assert report.dtypes == ("float32", "float64")
    assert len(report.layers) == 69
    seen = {
        one.layer
        for one in report.layers
        if one.layer == "fc" or one.layer.endswith("relu_1") or "maxpool" in one.layer
    }
    assert len(seen) == 10
    for one in report.layers:
        kinds = {(measure.dtype, measure.probe) for measure in one.measures}
        assert one.together or kinds == {(d, p) for d in ("float32", "float64") for p in ("activations", "propagated")}
        assert all(measure.ratio < 0.5 for measure in one.measures)


def test_a_wrong_fused_network_is_found_at_its_block(monkeypatch):
    """One weight of one kernel off by a hundredth: its block is at fault, and what follows inherits."""
    from layerdiff.handwritten import fused

    right = fused.build

    def wrong(name, state, **options):
        changed = state["layer2.1.conv1.weight"].copy()
        changed[np.unravel_index(np.abs(changed).argmax(), changed.shape)] *= 1.01
        return right(name, {**state, "layer2.1.conv1.weight": changed}, **options)

    monkeypatch.setattr(fused, "build", wrong)
    (report,) = _judged().reports

    assert report.verdict == "different"
    faults = {one.layer for one in report.layers if one.status == "fault"}
    assert "layer2.1.relu_1" in faults
    assert all(one.startswith("layer2.1.") for one in faults)


def test_weights_that_lack_are_told():
    """A partial dump runs no fused network: one line, what to do instead."""
    subject = load_subject("torchvision:resnet18", "synthetic", [], None, None)
    partial = replace(subject, weights=replace(subject.weights, source="a dump", missing=("fc.bias",)))

    with pytest.raises(InputError, match=r"^fused: 1 tensors are lacking in a dump, expected all of them"):
        fused_network(partial)


def test_it_has_no_way_back():
    """Gradients and training are refused in a line."""
    with pytest.raises(InputError, match=r"^backward: it is for networks that can be differentiated, got fused"):
        _judged(backward="train")


def test_the_command_judges_and_classifies(layerdiff):
    """`run --actual fused` is same, with JSON that names both precisions; `classify` gives the textbook's classes."""
    asked = ("--expected", "torchvision:resnet18", "--weights", "synthetic")
    done = layerdiff("run", "--actual", "fused", *asked, "--size", "64", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reports"][0]["dtypes"] == ["float32", "float64"]

    told = [layerdiff("classify", *asked, "--network", network).stdout for network in ("fused", "numpy")]
    assert told[0] == told[1] != ""
    done = layerdiff("shapes", "--actual", "fused")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: shapes: the fused network has no layers to be looked at")
