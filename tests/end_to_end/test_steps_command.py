"""`layerdiff run --steps`: what training makes of somebody's network, told at the terminal and in JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from layerdiff import InputError, run, trained

DOCS = (Path(__file__).parents[2] / "docs" / "steps.md").read_text()
TRAIN = re.search(r"^```python title=train.py\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)[1]
TOLD = re.search(r"^```text\n\$ layerdiff (.*?)\n\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
SMALL = ("--expected", "torchvision:resnet18", "--size", "33", "--batch", "2", "--weights", "synthetic")


def figureless(text):
    """A text without its ratios, which depend on the machine."""
    return re.sub(r"\b0\.\d\d\b", "0.xx", text)


def test_a_step_of_ones_own_is_judged_as_the_docs_show(layerdiff, tmp_path):
    """Exit code 1, the docs' answer at 80 columns but for its ratios, read back from JSON that has every tensor."""
    (tmp_path / "train.py").write_text(TRAIN)
    asked = TOLD[1].replace("\\\n", " ").split()

    done = layerdiff(*asked, "--format", "json", "--output", "run.json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    (report,) = json.loads((tmp_path / "run.json").read_text())["reports"]
    assert report["steps"]["verdict"] == "different"
    assert {one["status"] for one in report["steps"]["tensors"] if "running" in one["name"]} == {"same"}

    told = layerdiff("compare", "run.json", cwd=tmp_path).stdout
    lines = told.splitlines()
    assert figureless(TOLD[2]) in figureless(told)
    assert lines[-3].startswith("forward   same: 69 of 69 layers")
    assert lines[-2:] == [
        "training  different: 62 of 102 tensors are others in 2 steps of",
        "          sgd:lr=0.1,momentum=0.9",
    ]


def test_the_numpy_twin_moves_as_torchvision(layerdiff):
    """Same: the answer says how many tensors were compared, and by which optimiser."""
    done = layerdiff("run", "--actual", "numpy", *SMALL, "--steps", "1", "--optimizer", "adamw:lr=1e-3")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "training  same: 226 of 226 tensors in 1 step of adamw:lr=1e-3"


NOT_A_STEP = "step = 5\n"

REFUSED = {
    "another optimiser": (
        {"optimizer": "sdg:lr=1"},
        "optimizer: unknown optimiser, got 'sdg', expected one of sgd, adagrad, rmsprop, adadelta, adam, adamw",
        ["help: did you mean 'sgd'?"],
    ),
    "another hyperparameter": (
        {"optimizer": "sgd:rate=1"},
        "optimizer: unknown hyperparameters of sgd, got 'rate', expected some of lr, momentum, dampening, "
        "weight_decay, nesterov",
        ["help: choose among the names above"],
    ),
    "no steps": (
        {"steps": 0, "step": "train.py:step"},
        "step: no steps are compared, got --step alone",
        ["help: --steps 3 compares three of them"],
    ),
    "no function": (
        {"step": "train.py:step"},
        "step: not a function, got int from train.py:step, expected one of network, images and labels",
        [],
    ),
    "no name": ({"step": "train.py"}, "step: names no function, got train.py, expected FILE.py:FUNCTION", []),
    "no file": (
        {"step": "torch"}, "step: cannot be used, got 'torch', expected FILE.py:FUNCTION or module:FUNCTION", []
    ),
    "a part": (
        {"until": "layer1"},
        "steps: the whole network is trained, got --until layer1",
        ["help: leave one of the two out"],
    ),
    "too many": ({"steps": 1001}, "steps: got 1001, expected from 1 to 1000", []),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused(tmp_path, monkeypatch, name):
    """One line that names the option, what it got and what it expected, with what helps; before the reference runs."""
    options, error, notes = REFUSED[name]
    (tmp_path / "train.py").write_text(NOT_A_STEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("layerdiff.running.referred", None)

    with pytest.raises(InputError) as caught:
        run("torch", expected="torchvision:resnet18", weights="synthetic", **{"steps": 1} | options)

    assert str(caught.value) == error
    assert getattr(caught.value, "__notes__", []) == notes


@pytest.mark.parametrize("network", [5, "numpy"], ids=str)
def test_only_torch_is_a_reference_of_training(network):
    """A reference that torch's optimisers cannot move is refused in a line."""
    with pytest.raises(InputError, match=r"^trained: cannot be trained, got \w+, expected a torch network$"):
        trained(network)
