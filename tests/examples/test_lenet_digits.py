"""Example 3: LeNet-5's published figures, in short; the trainings in full only on request."""

from __future__ import annotations

import math

import lenet_digits
import numpy as np
import pytest
from PIL import Image

from layerdiff.handwritten.numpy_layers import Linear
from layerdiff.reference.datasets import load_digits


def test_the_example_in_short(show, tmp_path):
    """Published counts, times, one epoch that learns more than chance gives, curves, and the same network in torch."""
    printed, figures = show(lenet_digits.command, "--quick", "--output", tmp_path)

    assert figures["counts"] == {"parameters": 61_706, "multiply-adds": 423_344, "products": 416_520}
    assert "416,520 products, 6,424 biases of convolutions and 400 means" in " ".join(printed.split())
    assert list(figures["milliseconds"]) == ["loops", "im2col", "gemm", "torch"]
    assert figures["verdicts"] == {"NumPy": "same", "handwritten torch": "same"}
    assert list(figures["accuracy"]) == ["1000"]
    (accuracy,) = figures["accuracy"]["1000"]["tests"]
    assert accuracy == figures["accuracy"]["1000"]["median"]
    # Chance gets one in ten; to get 40 of 200 it would need five standard deviations.
    assert accuracy > 0.1 + 5 * math.sqrt(0.1 * 0.9 / 200)
    with Image.open(tmp_path / "lenet_1000_digits.png") as curves:
        assert curves.size == (1200, 480)


def test_the_layer_table_adds_up(capsys):
    """Parameters and multiply-adds of the printed rows give the printed sums."""
    lenet_digits.count()
    rows = [line.replace(",", "").split() for line in capsys.readouterr().out.splitlines()[1:14]]
    parameters, products = ([int(row[at]) for row in rows] for at in (-2, -1))
    assert rows[-1][0] == "all"
    assert (sum(parameters[:-1]), parameters[-1]) == (61_706, 61_706)
    assert (sum(products[:-1]), products[-1]) == (423_344, 423_344)


def test_a_training_repeats_bit_for_bit():
    """The same seed gives the same weights and the same accuracy; another seed others."""
    digits, size = load_digits(), lenet_digits.Size(128, 50, 50, epochs=1)
    learned = [lenet_digits.learn(digits, size, seed) for seed in (0, 0, 1)]
    (first, _, accuracy), (again, _, same), (other, _, _) = learned
    for one, two in zip(first.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert accuracy == same
    assert (first.fc2.weight != other.fc2.weight).any()


def test_the_seed_decides_split_and_order(monkeypatch):
    """It is the seed of the split and of the plan, not of the weights alone."""
    seeds = []
    split, plan = lenet_digits.split, lenet_digits.Plan
    monkeypatch.setattr(lenet_digits, "split", lambda *args, seed, **sizes: seeds.append(seed) or split(*args, **sizes))
    monkeypatch.setattr(lenet_digits, "Plan", lambda *, seed, **others: seeds.append(seed) or plan(**others))
    lenet_digits.learn(load_digits(), lenet_digits.Size(64, 50, 50, epochs=1), 3)
    assert seeds == [3, 3]


def test_a_network_that_computes_something_else_is_not_the_same(monkeypatch):
    """Were our linear map wrong by a thousandth, the verdict would say so."""
    digits = load_digits()
    network, _, _ = lenet_digits.learn(digits, lenet_digits.Size(64, 50, 50, epochs=1), 0)
    forward = Linear.forward
    monkeypatch.setattr(Linear, "forward", lambda self, x: forward(self, x) * x.dtype.type(1.001))
    assert lenet_digits.carry(network, digits)["NumPy"] == "different"


def test_a_folder_without_digits_is_refused(refused, tmp_path):
    """One that is not there, and one that is empty: words and exit code 2."""
    gone = refused(lenet_digits.command, "--data", tmp_path / "none")
    assert gone.startswith(f"error: {tmp_path / 'none'}: no such folder of digits, got nothing there")
    assert refused(lenet_digits.command, "--data", tmp_path).startswith(
        f"error: {tmp_path}: no digits there, got none of MNIST's idx files"
    )


@pytest.mark.usefixtures("in_full")
def test_the_published_accuracies_on_mnist(show, shared_data, tmp_path):
    """At least 0.87 of 200 after 1,000 digits and 0.975 of 1,000 after 8,000, as medians of five seeds."""
    _, figures = show(lenet_digits.command, "--data", shared_data / "data" / "mnist", "--output", tmp_path)
    assert figures["accuracy"]["1000"]["median"] >= 0.87
    assert figures["accuracy"]["8000"]["median"] >= 0.975
    assert [len(found["tests"]) for found in figures["accuracy"].values()] == [5, 5]
