"""The network that keeps every layer at the command: judged in all of them, in both precisions."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from layerdiff import InputError, run
from layerdiff.handwritten import kept

RIGHT = kept.build


def _judged(**options):
    small = {"size": (65, 47), "batch": 2} | options
    return run("kept", expected="torchvision:resnet18", weights="synthetic", **small)


@pytest.mark.parametrize("winograd", [True, False])
def test_every_layer_is_the_same_within_the_allowance_of_the_textbooks(winograd, monkeypatch):
    """Each by itself and end to end, in float32 and float64; Winograd needs no allowance of its own."""
    monkeypatch.setattr(kept, "build", lambda *args, **options: RIGHT(*args, **options, winograd=winograd))
    (report,) = _judged().reports

    assert report.verdict == "same"
    assert report.dtypes == ("float32", "float64")
    assert len(report.layers) == 69
    for one in report.layers:
        assert not one.together
        kinds = {(measure.dtype, measure.probe) for measure in one.measures}
        assert kinds == {(d, p) for d in ("float32", "float64") for p in ("activations", "propagated")}
        assert all(measure.ratio < 0.5 for measure in one.measures)


def test_a_wrong_layer_is_found_and_no_other(monkeypatch):
    """One weight of one kernel off by a hundredth: that convolution is at fault, and what follows inherits."""

    def wrong(name, state, **options):
        changed = state["layer2.1.conv1.weight"].copy()
        changed[np.unravel_index(np.abs(changed).argmax(), changed.shape)] *= 1.01
        return RIGHT(name, {**state, "layer2.1.conv1.weight": changed}, **options)

    monkeypatch.setattr(kept, "build", wrong)
    (report,) = _judged().reports

    assert report.verdict == "different"
    assert [one.layer for one in report.layers if one.status == "fault"] == ["layer2.1.conv1"]


def test_weights_that_lack_and_a_way_back_are_refused(monkeypatch):
    """A line each, with what to do instead."""
    from layerdiff import judgement

    whole = judgement.judge_by_plan

    def of_a_part(kind, expected, subject, **options):
        part = replace(subject, weights=replace(subject.weights, source="a dump", missing=("fc.bias",)))
        return whole(kind, expected, part, **options)

    with pytest.raises(InputError, match=r"^backward: it is for networks that can be differentiated, got kept"):
        _judged(backward="train")
    monkeypatch.setattr(judgement, "judge_by_plan", of_a_part)
    with pytest.raises(InputError, match=r"^kept: 1 tensors are lacking in a dump, expected all of them"):
        _judged()


def test_the_command_judges_it_and_tells_no_shapes(layerdiff):
    """`run --actual kept` is same, with JSON that names both precisions; `shapes` points to the textbook network."""
    asked = ("--expected", "torchvision:resnet18", "--weights", "synthetic")
    done = layerdiff("run", "--actual", "kept", *asked, "--size", "64", "--format", "json")
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["reports"]
    assert report["dtypes"] == ["float32", "float64"]
    assert report["actual"].startswith("kept NumPy resnet18")

    done = layerdiff("shapes", "--actual", "kept")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: shapes: the kept network runs by a plan for one size, got kept, expected numpy, its textbook"
    )
