"""A small residual network in training: the gradients of everything in it are torch autograd's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten.tape import Tape

SHAPES = {
    "x": (5, 3, 8, 8),
    "stem": (4, 3, 3, 3),
    "stem_scale": (4,),
    "stem_shift": (4,),
    "branch": (6, 4, 3, 3),
    "branch_scale": (6,),
    "branch_shift": (6,),
    "projection": (6, 4, 1, 1),
    "weight": (7, 6),
    "bias": (7,),
}

LABELS = np.array([0, 6, 3, 3, 1])

ROUNDINGS = 2500
"""More than there are on the longest way through the network and back.

There: sums of 27 (stem), 320 twice (its batch norm), 36 (branch), 80 twice (its batch norm), 16 (pooling), 6 (linear),
7 and 5 (loss). Back: 7 (linear), 80 twice, 54 (branch), 4 (overlapping windows), 320 twice, and 320 (the stem's own).
That makes 2100, and each of 20 operations rounds fewer than 20 times beside its sums, an exponential counted as 8.
"""


def drawn():
    """Values for every array of the network, each by its name; scales of both signs."""
    generator = np.random.default_rng(0)
    values = {name: generator.standard_normal(shape) for name, shape in SHAPES.items()}
    for name in ("stem_scale", "branch_scale"):
        values[name] = generator.uniform(0.5, 1.5, SHAPES[name]) * generator.choice([-1, 1], SHAPES[name])
    return values


def ours(a):
    """The loss, by the NumPy operations."""

    def normalised(x, name):
        c = x.shape[1]
        return ops.batch_norm_train(x, np.zeros(c), np.ones(c), a[f"{name}_scale"], a[f"{name}_shift"])[0]

    stem = ops.max_pool2d(ops.relu(normalised(ops.conv2d(a["x"], a["stem"], padding=1), "stem")), 3, 2, 1)
    branch = normalised(ops.conv2d(stem, a["branch"], stride=1, padding=1), "branch")
    joined = ops.relu(ops.add(branch, ops.conv2d(stem, a["projection"])))
    pooled = ops.flatten(ops.adaptive_avg_pool2d(joined, 1))
    return ops.cross_entropy(ops.linear(pooled, a["weight"], a["bias"]), LABELS)


def theirs(a):
    """The loss, by torch's."""

    def normalised(x, name):
        return functional.batch_norm(x, None, None, a[f"{name}_scale"], a[f"{name}_shift"], training=True)

    stem = functional.relu(normalised(functional.conv2d(a["x"], a["stem"], padding=1), "stem"))
    stem = functional.max_pool2d(stem, 3, 2, 1)
    branch = normalised(functional.conv2d(stem, a["branch"], padding=1), "branch")
    joined = functional.relu(branch + functional.conv2d(stem, a["projection"]))
    logits = functional.linear(joined.mean(dim=(2, 3)), a["weight"], a["bias"])
    return functional.cross_entropy(logits, torch.from_numpy(LABELS))


def torch_gradients(values, dtype):
    """Torch's gradients of everything in a precision, given in float64."""
    tensors = {name: torch.tensor(value, dtype=dtype, requires_grad=True) for name, value in values.items()}
    gradients = torch.autograd.grad(theirs(tensors), list(tensors.values()))
    return {name: gradient.double().numpy() for name, gradient in zip(tensors, gradients, strict=True)}


@pytest.fixture(scope="module")
def gradients():
    """By name: ours, torch's, and torch's in float32, which tells how much the network magnifies roundings."""
    values = drawn()
    with Tape() as tape:
        loss = ours(values)
    found = dict(zip(values, tape.gradients(loss, list(values.values())), strict=True))
    return found, torch_gradients(values, torch.float64), torch_gradients(values, torch.float32)


@pytest.mark.parametrize("name", SHAPES)
def test_every_gradient_is_torchs(gradients, name):
    """To within the roundings of either, magnified as the network magnifies them.

    How much it does is measured: torch's float32 gradients differ from its float64 ones by the same roundings, but of
    2^-24 instead of 2^-53. Those add up at random, to the root of their number (Higham 2002, section 2.8); at worst
    they add up to their number, which is the root of it as much again. Two sides err.
    """
    found, expected, coarse = (by_name[name] for by_name in gradients)
    measured = np.abs(coarse - expected).max() * 2.0**-29
    allowed = 2 * np.sqrt(ROUNDINGS) * measured
    assert allowed < 1e-10 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=allowed, strict=True)


def test_a_step_against_the_gradient_lowers_the_loss(gradients):
    """By the step times the gradient's square, to first order: what training rests on."""
    found, values, step = gradients[0], drawn(), 1e-6
    before = ours(values)
    after = ours({name: value - step * found[name] for name, value in values.items()})
    square = sum(float((gradient**2).sum()) for gradient in found.values())
    assert float(before - after) == pytest.approx(step * square, rel=1e-2)
