"""Cross-entropy and the mean squared error: values and gradients are torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from vjp_kit import UNIT, check_against_torch, check_finite_differences, check_manners, gamma, gradients_by_tape

from layerdiff.handwritten.numpy_ops import cross_entropy, log_softmax, mse_loss
from layerdiff.handwritten.tape import Tape

TRANSCENDENTAL = 8
"""Roundings granted to one exp or log: NumPy promises 4 units in the last place, torch's are better."""

REDUCTIONS = ["mean", "sum", "none"]


def batch(n=6, classes=5, seed=0):
    """Logits and labels, the first and the last class among them."""
    generator = np.random.default_rng(seed)
    labels = np.concatenate([[0, classes - 1], generator.integers(0, classes, n)])[:n]
    return generator.uniform(-3, 3, (n, classes)), labels


def units(logits):
    """The roundings of a logarithmic share, absolute: see `log_softmax_bounds` in test_activations.py."""
    classes = logits.shape[1]
    logs = log_softmax(logits, axis=1)
    return 2 * classes + TRANSCENDENTAL * (2 + np.log(classes)) + np.abs(logs) + 4, logs


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_is_torchs(reduction, smoothing, assert_within):
    """The value, its gradient, and the slope of the difference quotients."""
    logits, labels = batch()
    n, classes = logits.shape
    options = {"reduction": reduction, "label_smoothing": smoothing}
    expected = functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), **options)
    counted, logs = units(logits)

    def magnitude(logits, labels, **options):
        # Each logarithm is a difference of a logit, the largest one and the logarithm of a sum: 3 + 3 + log 5 < 8.
        return cross_entropy(logits, labels, **options) + 8 * (n if reduction == "sum" else 1)

    # A loss errs as its logarithms, then by their mean over classes and examples, and two products.
    roundings = int(counted.max()) + classes + n + 4
    assert_within(
        cross_entropy(logits, labels, **options), expected, 2 * gamma(roundings) * magnitude(*batch(), **options)
    )

    def bounds(covector):
        # A share less its target, each with its relative roundings, among them those of torch's sums over classes.
        g = np.broadcast_to(np.abs(covector)[..., None] / (n if reduction == "mean" else 1), logits.shape)
        target = np.full(logits.shape, smoothing / classes)
        target[np.arange(n), labels] += 1 - smoothing
        return [2.01 * UNIT * g * ((counted + classes + 6) * np.exp(logs) + 6 * target)]

    check_against_torch(cross_entropy, functional.cross_entropy, (logits, labels), options, bounds=bounds)
    check_finite_differences(cross_entropy, (logits, labels), options, roundings=roundings, magnitude=magnitude)
    check_manners(cross_entropy, (logits, labels), options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_mse_loss_is_torchs(reduction, assert_within):
    """The value, its gradients, of which one is the other's negative, and the slope of the difference quotients."""
    generator = np.random.default_rng(0)
    arguments = [generator.standard_normal((3, 4)) for _ in range(2)]
    x, target = arguments
    options = {"reduction": reduction}
    # A difference, which counts twice in its square, the square, the sum and the division; nothing cancels.
    roundings = 3 + x.size + 1
    expected = functional.mse_loss(*map(torch.from_numpy, arguments), **options)
    assert_within(mse_loss(x, target, **options), expected, 2 * gamma(roundings) * expected.numpy())

    def bounds(covector):
        # The difference, the division and two products.
        size = 2 * np.abs((x - target) * covector) / (x.size if reduction == "mean" else 1)
        return [2 * gamma(4) * size] * 2

    check_against_torch(mse_loss, functional.mse_loss, arguments, options, bounds=bounds)
    check_finite_differences(mse_loss, arguments, options, roundings=roundings)
    check_manners(mse_loss, arguments, options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_are_arrays_of_the_dtype_they_get(dtype, reduction):
    """A single number too is an array: NumPy would make it a float64 of its own, and a tape knows arrays only."""
    logits, labels = batch()
    logits = logits.astype(dtype)
    for loss, shape in (
        (cross_entropy(logits, labels, reduction=reduction), (6,)),
        (cross_entropy(logits, labels, reduction=reduction, label_smoothing=0.1), (6,)),
        (mse_loss(logits, logits[::-1], reduction=reduction), (6, 5)),
    ):
        assert isinstance(loss, np.ndarray)
        assert (loss.shape, loss.dtype) == (shape if reduction == "none" else (), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_is_safe(dtype):
    """Shares too small for the dtype have a finite loss and a gradient, and an impossible class costs nothing."""
    logits = np.array([[1e4, 0, -1e4], [-1e5, -1e5, -1e5], [0, -np.inf, 0]], dtype=dtype)
    labels = np.array([2, 1, 0])
    with Tape() as tape:
        losses = cross_entropy(logits, labels, reduction="none")
    expected = functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), reduction="none").numpy()
    unit = (3 + 2 * TRANSCENDENTAL) * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(losses, expected, rtol=unit, atol=unit, strict=True)
    np.testing.assert_allclose(losses, [2e4, np.log(3), np.log(2)], rtol=unit)
    (gradient,) = tape.gradients(losses, [logits], np.ones(3, dtype=dtype))
    np.testing.assert_allclose(gradient, [[1, 0, -1], [1 / 3, -2 / 3, 1 / 3], [-1 / 2, 0, 1 / 2]], atol=unit)


def test_a_label_without_a_share_costs_infinitely_much():
    """As in torch, and not NaN."""
    assert cross_entropy(np.array([[-np.inf, 0.0]]), np.array([0])) == np.inf


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_labels_of_any_integer_dtype(dtype):
    """The same loss and the same gradient, to the bit."""
    logits, labels = batch()
    expected = gradients_by_tape(cross_entropy, (logits, labels))[1]
    assert cross_entropy(logits, labels.astype(dtype)) == cross_entropy(logits, labels)
    np.testing.assert_array_equal(gradients_by_tape(cross_entropy, (logits, labels.astype(dtype)))[1], expected)


def test_an_empty_batch_has_a_sum_but_no_mean():
    """A sum of nothing is 0, and for each of nothing there is nothing."""
    logits, labels = np.zeros((0, 3)), np.zeros(0, dtype=int)
    assert cross_entropy(logits, labels, reduction="sum") == mse_loss(logits, logits, reduction="sum") == 0
    assert cross_entropy(logits, labels, reduction="none").shape == (0,)


LOGITS, LABELS, EMPTY = np.zeros((4, 3)), np.array([0, 1, 2, 0]), np.zeros(0, dtype=int)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: cross_entropy(LOGITS, np.array([0, 3, -1, 3])),
            r"cross_entropy: 3 of 4 labels out of range, got -1, 3, expected 0 to 2\nhelp: the first is labels\[1\]",
        ),
        (lambda: cross_entropy(LOGITS[0], LABELS), r"cross_entropy: unusable logits, got shape \(3,\), expected \(n, "),
        (lambda: cross_entropy(LOGITS[:, :0], LABELS), r"cross_entropy: unusable logits, got shape \(4, 0\), expected"),
        (lambda: cross_entropy(LOGITS.astype(int), LABELS), "cross_entropy: not a floating dtype, got int64, expected"),
        (
            lambda: cross_entropy(LOGITS, LABELS[:3]),
            r"cross_entropy: unusable labels, got \(3,\) int64, expected \(4,\) of an integer dtype",
        ),
        (
            lambda: cross_entropy(LOGITS, np.eye(4, 3)),
            r"cross_entropy: unusable labels, got \(4, 3\) float64, expected \(4,\) of an integer dtype",
        ),
        (
            lambda: cross_entropy(LOGITS, LABELS > 0),
            r"cross_entropy: unusable labels, got \(4,\) bool, expected \(4",
        ),
        (
            lambda: cross_entropy(LOGITS, LABELS, label_smoothing=1.5),
            "cross_entropy: label_smoothing is not a share, got 1.5, expected between 0 and 1",
        ),
        (
            lambda: cross_entropy(LOGITS, LABELS, reduction="average"),
            "cross_entropy: unknown reduction, got 'average', expected 'mean', 'sum', 'none'",
        ),
        (
            lambda: cross_entropy(LOGITS[:0], EMPTY),
            "cross_entropy: nothing has no mean, got an empty batch, expected at least one loss",
        ),
        (
            lambda: mse_loss(LOGITS, LOGITS[:1]),
            r"mse_loss: different shapes, got x \(4, 3\) and target \(1, 3\), expected the same",
        ),
        (
            lambda: mse_loss(LOGITS, LOGITS.astype(np.float32)),
            "mse_loss: mixed dtypes, got target float32, expected float64 as x",
        ),
        (lambda: mse_loss(LOGITS, LOGITS, reduction="no"), "mse_loss: unknown reduction, got 'no', expected 'mean', '"),
        (lambda: mse_loss(LOGITS[:0], LOGITS[:0]), "mse_loss: nothing has no mean, got an empty batch, expected at le"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    """One line says what is wrong, what was given and what is needed; wrong labels all at once."""
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
