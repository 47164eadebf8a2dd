"""Example 4: ResNet-18's published counts, both networks and both halves in short; the trainings only on request."""

from __future__ import annotations

import numpy as np
import pytest
import resnet18_digits
from PIL import Image

from layerdiff.handwritten import numpy_resnet
from layerdiff.handwritten.summary import summarise
from layerdiff.handwritten.training import NumpyLearner
from layerdiff.handwritten.training.torch_learner import TorchLearner
from layerdiff.reference.datasets import load_digits

NAMES = ["with shortcuts", "without"]


@pytest.mark.parametrize("half", ["numpy", "torch"])
def test_the_example_in_short(show, tmp_path, monkeypatch, half):
    """Both networks learn for an epoch; their accuracies and one picture with the curves of both come of it."""
    monkeypatch.setattr(resnet18_digits, "QUICK", resnet18_digits.Size(16, 10, 10, epochs=1))
    printed, figures = show(resnet18_digits.command, "--quick", "--half", half, "--output", tmp_path)

    assert figures["half"] == half
    assert list(figures["accuracy"]) == list(figures["median validation accuracy by epoch"]) == NAMES
    for name in NAMES:
        (accuracy,) = figures["accuracy"][name]["by seed"]
        assert accuracy == figures["accuracy"][name]["median"]
        assert accuracy in {hits / 10 for hits in range(11)}
    shortcuts, plain = (figures["accuracy"][name]["median"] for name in NAMES)
    assert figures["lead of the medians in points"] == round(100 * (shortcuts - plain), 2)
    assert f"16 digits to learn from, 10 to validate, 10 to test, of {figures['data']}. Trained by {half}: SGD," in (
        " ".join(printed.split())
    )
    with Image.open(tmp_path / "resnet18_digits.png") as curves:
        assert curves.size == (1200, 480)


def test_the_published_counts_and_their_terms(capsys):
    """11,185,034 parameters and 35,529,728 multiply-adds, each the sum of its rows; torch's own count beside it."""
    shortcuts, plain = resnet18_digits.count().values()
    assert (shortcuts["parameters, as published"], shortcuts["multiply-adds, as published"]) == (11_185_034, 35_529_728)
    assert shortcuts["what is learned: torch's count"] - shortcuts["of them the stem's bias"] == 11_175_370
    for counted in (shortcuts, plain):
        learned, running, parameters, _, *terms, multiply_adds = counted.values()
        assert learned + running == parameters
        assert sum(terms) == multiply_adds
    rows = capsys.readouterr().out.splitlines()
    assert rows[3].split()[-2:] == ["11,185,034", f"{plain['parameters, as published']:,}"]
    assert rows[-1].split()[-2:] == ["35,529,728", f"{plain['multiply-adds, as published']:,}"]


def test_the_plain_network_lacks_the_projections_and_nothing_else():
    """Their three convolutions and batch norms are the difference in what is learned, and in products."""
    network, plain = (resnet18_digits.build(residual=residual, seed=0) for residual in (True, False))
    beside = {name: array for name, array in network.named_parameters() if "downsample" in name}
    assert {name for name, _ in network.named_parameters()} - {name for name, _ in plain.named_parameters()} == set(
        beside
    )
    assert network.parameter_count() - plain.parameter_count() == sum(array.size for array in beside.values())
    rows = summarise(network, (1, 1, 32, 32)).rows
    products = sum(row.multiply_adds for row in rows if "downsample" in row.name)
    assert network.multiply_adds((1, 1, 32, 32)) - plain.multiply_adds((1, 1, 32, 32)) == products > 0


@pytest.mark.parametrize("residual", [True, False], ids=["shortcuts", "plain"])
def test_both_halves_begin_with_the_same_weights(residual):
    """Bit for bit, under the same names; another seed gives others."""
    ours, theirs, others = (
        resnet18_digits.learner(half, residual=residual, seed=seed).state()
        for half, seed in (("numpy", 3), ("torch", 3), ("numpy", 4))
    )
    arrays = {name: array for name, array in ours.items() if name.startswith("network.")}
    assert len(arrays) == len(numpy_resnet.build("resnet18", residual=residual).state_dict()) + 1  # the stem's bias
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, theirs[name])
    assert (ours["network.conv1.weight"] != others["network.conv1.weight"]).any()


def test_the_recipe_is_the_same_for_all(monkeypatch):
    """Both networks of both halves get the same images, labels and learning rates, in the same order."""
    seen = []
    for learner in (NumpyLearner, TorchLearner):
        monkeypatch.setattr(learner, "train_step", lambda self, *given: (seen[-1].append(given), (1.0, 0))[1])
    make = resnet18_digits.learner
    monkeypatch.setattr(resnet18_digits, "learner", lambda *half, **given: (seen.append([]), make(*half, **given))[1])
    digits, size = load_digits(), resnet18_digits.Size(150, 10, 10, epochs=2)
    for half in ("numpy", "torch"):
        assert list(resnet18_digits.learn(digits, half, size, seed=0)) == NAMES

    first, *others = seen
    assert len(others) == 3
    assert [len(labels) for _, labels, _ in first] == [64, 64, 22] * 2
    rates = [lr for *_, lr in first]
    assert rates[0] == resnet18_digits.LR
    assert rates == sorted(rates, reverse=True)
    for other in others:
        for (images, labels, lr), (again, same, rate) in zip(first, other, strict=True):
            np.testing.assert_array_equal(images, again)
            np.testing.assert_array_equal(labels, same)
            assert lr == rate


def test_what_cannot_be_used_is_said(refused, tmp_path):
    """A folder that is not there, one without digits, a half that does not exist: words and exit code 2."""
    gone = refused(resnet18_digits.command, "--data", tmp_path / "none")
    assert gone.startswith(f"error: {tmp_path / 'none'}: no such folder of digits, got nothing there")
    empty = refused(resnet18_digits.command, "--data", tmp_path)
    assert empty.startswith(f"error: {tmp_path}: no digits there, got none of MNIST's idx files")
    assert "'jax' is not one of 'numpy', 'torch'" in refused(resnet18_digits.command, "--half", "jax")


@pytest.mark.usefixtures("in_full")
def test_the_published_accuracy_on_mnist(show, shared_data, tmp_path):
    """With shortcuts at least 0.88 of 200 after 1,000 digits, and the plain one lower, as medians of three seeds."""
    _, figures = show(resnet18_digits.command, "--data", shared_data / "data" / "mnist", "--output", tmp_path)
    shortcuts, plain = figures["accuracy"].values()
    assert shortcuts["median"] >= 0.88
    assert plain["median"] < shortcuts["median"]
    assert len(shortcuts["by seed"]) == len(plain["by seed"]) == 3
