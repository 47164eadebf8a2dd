"""The gradients of the NumPy operations without windows: relu, add, batch norm, dropout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from vjp_kit import STEP, check_against_torch, check_finite_differences, check_manners, gamma, gradients_by_tape

from layerdiff.handwritten.numpy_ops import (
    add,
    batch_norm,
    batch_norm_by_batch,
    batch_norm_train,
    drop,
    dropout,
    dropout_mask,
    relu,
)
from layerdiff.handwritten.tape import Tape

CHANNEL = (slice(None), None, None)
"""Lays (c,) along the channels of (n, c, h, w)."""

AFFINE = [(True, True), (True, False), (False, True), (False, False)]


def away_from_zero(shape, seed=0):
    """Values that no difference quotient carries over a kink at 0."""
    generator = np.random.default_rng(seed)
    return generator.choice([-1.0, 1.0], shape) * generator.uniform(2 * STEP, 2, shape)


def images(shape=(3, 4, 5, 2), seed=0):
    """Images whose channels have means and deviations of their own, and an affine map with scales of both signs."""
    generator = np.random.default_rng(seed)
    c = shape[1]
    x = generator.standard_normal(shape) * generator.uniform(0.3, 3, c)[CHANNEL] + generator.normal(0, 1, c)[CHANNEL]
    weight = generator.uniform(0.3, 1, c) * np.where(np.arange(c) % 2, -1, 1)
    return x, weight, generator.standard_normal(c)


def chosen(values, flags):
    """Those of the values whose flag is set, else None."""
    return [value if flag else None for value, flag in zip(values, flags, strict=True)]


def test_relu_goes_back_as_torchs():
    """Exactly, at 0 of either sign and at infinity too, where the slope is a convention."""
    x = np.concatenate([away_from_zero(7), [0.0, -0.0, np.inf, -np.inf]])
    check_against_torch(relu, functional.relu, (x,), bounds=lambda _: [0])
    check_finite_differences(relu, (away_from_zero((3, 4)),), roundings=0)
    check_manners(relu, (x,))


def test_add_goes_back_both_ways():
    """To the branch and the shortcut alike, exactly."""
    arguments = (away_from_zero((2, 3), 1), away_from_zero((2, 3), 2))
    check_against_torch(add, torch.add, arguments, bounds=lambda _: [0, 0])
    check_finite_differences(add, arguments, roundings=1, magnitude=lambda x, identity: np.abs(x) + np.abs(identity))
    check_manners(add, arguments)


@pytest.mark.parametrize("flags", AFFINE)
def test_batch_norm_by_given_statistics_goes_back(flags):
    """To the image, the statistics and the affine map, where there is one: they are variables of their own."""
    x, weight, bias = images()
    generator = np.random.default_rng(1)
    mean, var = generator.standard_normal(4), generator.uniform(1e-2, 2, 4)
    arguments, eps = (x, mean, var, *chosen((weight, bias), flags)), 1e-3
    count, w = x.size // 4, weight if flags[0] else np.ones(4)
    inverse = 1 / np.sqrt(var + eps)
    distance = np.abs(x - mean[CHANNEL]) * inverse[CHANNEL]

    def theirs(x, mean, var, weight=None, bias=None):
        y = (x - mean[CHANNEL]) / torch.sqrt(var[CHANNEL] + eps)
        y = y if weight is None else y * weight[CHANNEL]
        return y if bias is None else y + bias[CHANNEL]

    def bounds(covector):
        # To each side: the scale takes at most 4 roundings, the distance 5, the variance's slope 9 more, then come
        # a product with the covector and the sum of `count` terms.
        g, scale = np.abs(covector), np.abs(w * inverse)
        along = (g * distance).sum(axis=(0, 2, 3))
        total = g.sum(axis=(0, 2, 3))
        terms = [g * scale[CHANNEL], total * scale, along * np.abs(w) * inverse**2 / 2]
        terms += [term for term, flag in zip((along, total), flags, strict=True) if flag]
        return [2 * gamma(count + 20) * term for term in terms]

    check_against_torch(batch_norm, theirs, arguments, {"eps": eps}, torch_options={}, bounds=bounds)
    # 7 roundings, as in conftest's norm_bound.
    check_finite_differences(batch_norm, arguments, {"eps": eps}, roundings=7, magnitude=norm_magnitude)
    check_manners(batch_norm, arguments, {"eps": eps})


def norm_magnitude(x, mean, var, weight=None, bias=None, *, eps):
    """The absolute terms of a batch norm."""
    scale = np.abs((1 if weight is None else weight) / np.sqrt(var + eps))
    shift = 0 if bias is None else np.abs(bias)[CHANNEL]
    return (np.abs(x) + np.abs(mean)[CHANNEL]) * scale[CHANNEL] + shift


def by_batch_magnitude(x, weight=None, bias=None, *, eps):
    """The absolute terms of a batch norm by the batch: a mean is made of absolute values."""
    mean = np.abs(x).mean(axis=(0, 2, 3))
    return norm_magnitude(x, mean, x.var(axis=(0, 2, 3)), weight, bias, eps=eps)


def by_batch_bounds(x, weight, flags, eps):
    """Bounds between two batch norms' gradients, of N values per channel.

    An x̂ errs by at most N + 12 roundings of X = (|x| + mean|x|) / deviation: a mean rounds N times, a variance as
    often, but under a root, and the little that a mean's error adds to it is of second order. In the gradient of x,
    the mean of g·x̂ takes 2N + 13 in all, its product with another x̂ N + 13, the scale N + 12, and what is left 5.
    """
    count = x.size // x.shape[1]
    scale = np.abs((weight if flags[0] else 1) / np.sqrt(x.var(axis=(0, 2, 3)) + eps))
    distance = by_batch_magnitude(x, eps=eps)

    def bounds(covector):
        g = np.abs(covector)
        along, total = (g * distance).sum(axis=(0, 2, 3)), g.sum(axis=(0, 2, 3))
        of_x = scale[CHANNEL] * (g + (total / count)[CHANNEL] + distance * (along / count)[CHANNEL])
        affine = [term for term, flag in zip((along, total), flags, strict=True) if flag]
        return [2 * gamma(4 * count + 43) * of_x, *(2 * gamma(2 * count + 13) * term for term in affine)]

    return bounds


@pytest.mark.parametrize("flags", AFFINE)
@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (2, 4, 1, 1)])
def test_batch_norm_by_the_batch_goes_back_as_torchs(shape, flags):
    """Through the mean and the variance as well, down to two values per channel."""
    x, weight, bias = images(shape)
    arguments, eps = (x, *chosen((weight, bias), flags)), 1e-3
    count = x.size // x.shape[1]

    def theirs(x, weight=None, bias=None):
        return functional.batch_norm(x, None, None, weight, bias, training=True, eps=eps)

    bounds = by_batch_bounds(x, weight, flags, eps)
    check_against_torch(batch_norm_by_batch, theirs, arguments, {"eps": eps}, torch_options={}, bounds=bounds)
    check_finite_differences(
        batch_norm_by_batch, arguments, {"eps": eps}, roundings=count + 12, magnitude=by_batch_magnitude
    )
    check_manners(batch_norm_by_batch, arguments, {"eps": eps})


def test_training_goes_back_as_the_batch_alone():
    """To the bit: the running estimates change neither the output nor a gradient, and no gradient reaches them."""
    x, weight, bias = images()
    mean, var = np.full(4, 0.3), np.full(4, 0.7)
    alone = gradients_by_tape(batch_norm_by_batch, (x, weight, bias))
    with Tape() as tape:
        y, _, _ = batch_norm_train(x, mean, var, weight, bias)
    for ours, expected in zip(tape.gradients(y, [x, weight, bias], alone[0]), alone[1], strict=True):
        np.testing.assert_array_equal(ours, expected)
    with pytest.raises(ValueError, match=r"got of\[0\] \(4,\), of\[1\] \(4,\), expected arrays that took part"):
        tape.gradients(y, [mean, var], alone[0])


@pytest.mark.parametrize("eps", [0.0, 1e-5, 0.3])
def test_a_shift_or_stretch_of_a_channel_changes_nothing(eps):
    """Per channel, Σdx is 0, and Σdx·x̂ is 0 but for eps, which alone still sees a stretch."""
    x, weight, _ = images()
    covector, (gradient, along) = gradients_by_tape(batch_norm_by_batch, (x, weight), {"eps": eps})
    var = x.var(axis=(0, 2, 3))
    deviation = np.sqrt(var + eps)
    x_hat = (x - x.mean(axis=(0, 2, 3))[CHANNEL]) / deviation[CHANNEL]
    # What the gradient itself may err by, and the roundings of the sum and of the x̂ made here.
    count = x.size // 4
    error = by_batch_bounds(x, weight, (True, False), eps)(covector)[0] / 2 + gamma(2 * count + 13) * np.abs(gradient)
    distance = by_batch_magnitude(x, eps=eps)
    assert (np.abs(gradient.sum(axis=(0, 2, 3))) <= error.sum(axis=(0, 2, 3))).all()
    left = weight / deviation * along * eps / (var + eps)
    # `left` is a product of eight roundings or fewer, of what erred by 2N + 13 before.
    allowed = (error * distance).sum(axis=(0, 2, 3)) + gamma(4 * count + 30) * np.abs(left)
    assert (np.abs((gradient * x_hat).sum(axis=(0, 2, 3)) - left) <= allowed).all()


def test_one_value_per_channel_is_refused_without_estimates_too():
    """As torch does: such a batch norm gives back its bias, whatever it is shown."""
    message = r"^batch_norm_by_batch: one value has no variance, got 1 per channel, expected at least 2 in training"
    with pytest.raises(ValueError, match=message):
        batch_norm_by_batch(np.zeros((1, 3, 1, 1)))


def test_batch_norm_by_the_batch_refuses_what_does_not_fit():
    """In its own name."""
    with pytest.raises(ValueError, match=r"^batch_norm_by_batch: wrong shape, got weight \(2,\), expected \(3,\)\n"):
        batch_norm_by_batch(np.zeros((2, 3, 4, 4)), np.ones(2))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_dropout_goes_back_through_its_own_mask(p):
    """Also where the value is 0, which tells nothing of what was dropped."""
    x = np.where(np.random.default_rng(0).random((5, 6)) < 0.5, 0.0, away_from_zero((5, 6)))
    kept = dropout_mask(x.shape, p, np.random.default_rng(1))
    covector, (gradient,) = gradients_by_tape(lambda x: dropout(x, p, np.random.default_rng(1)), (x,))
    np.testing.assert_array_equal(gradient, drop(covector, kept, p))
    check_finite_differences(drop, (x, kept, p), roundings=2)
    check_manners(drop, (x, kept, p))
    if p < 1:
        # Two roundings on either side: torch may divide before it masks.
        bound = 4 * gamma(1) / (1 - p)
        check_against_torch(
            drop, lambda x, kept, p: x * kept / (1 - p), (x, kept, p), bounds=lambda c: [np.abs(c) * bound]
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0, 0.1, 0.3])
def test_dropout_is_the_mask_and_then_the_drop(p, dtype):
    """To the bit what one expression gives: the quotient, and not the product with a rounded inverse."""
    x = away_from_zero((40, 50)).astype(dtype)
    expected = x * (np.random.default_rng(3).random(x.shape) >= p) / (1 - p)
    np.testing.assert_array_equal(dropout(x, p, np.random.default_rng(3)), expected, strict=True)


def test_at_one_nothing_is_drawn():
    """The generator stays where it was, and everything is dropped, infinities too."""
    generator = np.random.default_rng(0)
    assert not dropout_mask((2, 3), 1, generator).any()
    assert generator.random() == np.random.default_rng(0).random()
    assert drop(np.array([np.inf, 1.0]), np.array([True, False]), 1).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dropout_mask((2,), 1.5, np.random.default_rng(0)), "dropout_mask: not a probability, got 1.5, exp"),
        (lambda: drop(np.zeros(2), np.ones(2, dtype=bool), -0.5), "drop: not a probability, got -0.5, expected betw"),
        (lambda: drop(np.zeros(2), np.ones(3, dtype=bool), 0.5), r"drop: unusable mask, got \(3,\) bool, expected \(2"),
        (lambda: drop(np.zeros(2), np.ones(2), 0.5), r"drop: unusable mask, got \(2,\) float64, expected \(2,\) bool"),
        (lambda: drop(np.zeros(2, dtype=int), np.ones(2, dtype=bool), 0.5), "drop: not a floating dtype, got int64"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(call, message):
    """One line says what is wrong, what was given and what is needed."""
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
