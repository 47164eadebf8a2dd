"""Bounds from the theory of rounding, and random tensors, for the tests of both handwritten halves."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch.nn import functional

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)  # for vjp_kit.py: a test imports it, and in importlib mode no test's folder is on the path

UNIT = 2.0**-53
"""The unit roundoff of float64, in which the tests compare."""


@pytest.fixture(scope="session")
def assert_within():
    """A function that compares two arrays element by element against a bound that a test derives."""

    def check(actual, expected, bound):
        actual, expected, bound = (np.asarray(value) for value in (actual, expected, bound))
        assert actual.shape == expected.shape
        assert np.isfinite(actual).all()
        excess = np.abs(actual - expected) - bound
        assert (excess <= 0).all(), f"beyond the bound by {excess.max():.3g}, bound {np.max(bound):.3g}"

    return check


@pytest.fixture(scope="session")
def sum_bound():
    """By how much two sums of `terms` terms may differ, each in any order: Higham 2002, section 3.1, gamma_n.

    `magnitude` is the sum of the absolute terms. Two implementations may err in opposite directions. One more
    rounding is granted for a division or a bias, and one for the rounding of `magnitude` itself.
    """

    def bound(terms, magnitude):
        count = terms + 2
        return 2 * count * UNIT / (1 - count * UNIT) * np.asarray(magnitude)

    return bound


@pytest.fixture(scope="session")
def conv_bound(sum_bound):
    """By how much two convolutions of the same float64 tensors may differ."""

    def bound(x, weight, bias, **geometry):
        magnitudes = [None if value is None else torch.as_tensor(value).abs() for value in (x, weight, bias)]
        return sum_bound(
            weight[0].size if isinstance(weight, np.ndarray) else weight[0].numel(),
            functional.conv2d(*magnitudes, **geometry).detach(),
        )

    return bound


@pytest.fixture(scope="session")
def norm_bound():
    """By how much two batch norms with given statistics may differ: 14 roundings, counted as in allowance/batch_norm.

    Each of the two ways to write it makes at most 7 roundings of a term no larger than (|x| + |mean|)·|scale| + |bias|.
    """

    def bound(x, mean, var, weight, bias, eps):
        scale, x, mean, bias = np.abs(weight / np.sqrt(var + eps)), np.abs(x), np.abs(mean), np.abs(bias)
        per_channel = (slice(None), None, None)
        return 14 * UNIT * ((x + mean[per_channel]) * scale[per_channel] + bias[per_channel])

    return bound


@pytest.fixture(scope="session")
def torchvision_blank():
    """A torchvision network of a name without memory for its tensors: names, shapes and order only."""

    def blank(name):
        with torch.device("meta"):
            return torchvision.models.get_model(name, weights=None)

    return blank


@pytest.fixture(scope="session")
def random_state():
    """A float64 state for a network's tensors in which no tensor is left at a value that hides a mistake.

    Batch norms have scales of both signs, and one channel in ten has a variance so small that eps shows.
    """

    def draw(blank, seed):
        generator = np.random.default_rng(seed)
        state = {}
        for name, tensor in blank.state_dict().items():
            shape, kind = tuple(tensor.shape), name.rpartition(".")[2]
            if kind == "num_batches_tracked":
                state[name] = torch.tensor(int(generator.integers(1, 100)))
                continue
            if kind == "running_var":
                values = generator.uniform(0.5, 2, shape) * np.where(generator.random(shape) < 0.1, 1e-3, 1)
            elif len(shape) == 1 and kind == "weight":
                values = generator.uniform(0.3, 1, shape) * np.where(generator.random(shape) < 0.2, -1, 1)
            elif len(shape) == 1:
                values = generator.normal(0, 0.3, shape)
            else:
                values = generator.standard_normal(shape, dtype=np.float32) * np.sqrt(2 / np.prod(shape[1:]))
            state[name] = torch.from_numpy(np.asarray(values, dtype=np.float64))
        return state

    return draw
