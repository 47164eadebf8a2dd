"""The NumPy operations that fit in a line: relu, linear, flatten, dropout, add."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from layerdiff.handwritten.numpy_ops import add, dropout, flatten, linear, relu
from layerdiff.handwritten.numpy_ops._arrays import masked


def test_relu_is_torchs():
    """Infinities and NaN included, equal and not near."""
    x = np.array([-2.0, -0.0, 0.0, 3.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(relu(x), functional.relu(torch.from_numpy(x)).numpy())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_masked_values_are_kept_or_zero(dtype):
    """NaN, infinities and the sign of zero are kept to the bit or gone, in any order of memory; nothing is changed."""
    values = np.array([[1.5, np.nan, -np.inf], [-0.0, np.nan, np.inf]], dtype=dtype).T
    keep = np.array([[True, True, True], [True, False, False]]).T
    before = values.copy()
    found = masked(values, keep)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.where(keep, values, np.zeros((), dtype)))
    np.testing.assert_array_equal(np.signbit(found), [[False, True], [False, False], [True, False]])
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_linear_is_torchs(bias, shape, assert_within, sum_bound):
    """Over the last axis of any shape, to within the rounding of a sum of five products."""
    generator = np.random.default_rng(0)
    tensors = [generator.standard_normal(size) for size in (shape, (4, 5), (4,))][: 3 if bias else 2]
    expected = functional.linear(*map(torch.from_numpy, tensors))
    magnitude = functional.linear(*(torch.from_numpy(np.abs(tensor)) for tensor in tensors))
    assert_within(linear(*tensors), expected, sum_bound(5, magnitude))


def test_flatten_is_torchs():
    """By default everything but the batch."""
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(flatten(x), torch.from_numpy(x).flatten(1).numpy())
    np.testing.assert_array_equal(flatten(x, 0, -2), torch.from_numpy(x).flatten(0, -2).numpy())


def test_add_is_addition():
    """Exactly, and of neither argument in place."""
    x, identity = np.array([1.0, 2.0]), np.array([0.1, 0.2])
    np.testing.assert_array_equal(add(x, identity), [1.1, 2.2])
    assert (x.tolist(), identity.tolist()) == ([1.0, 2.0], [0.1, 0.2])


def test_dropout_drops_a_share_and_scales_the_rest():
    """Of 10 000 ones, 30 % are dropped to within five standard deviations, and what stays is 1/0.7."""
    y = dropout(np.ones((100, 100)), 0.3, np.random.default_rng(0))
    assert set(np.unique(y)) == {0, 1 / 0.7}
    assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 10_000)


def test_dropout_at_its_ends():
    """At 0 nothing is dropped; at 1 everything, without dividing by zero."""
    x = np.array([1.0, -2.0])
    assert dropout(x, 0, np.random.default_rng(0)).tolist() == [1, -2]
    assert dropout(x, 1, np.random.default_rng(0)).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_operation_keeps_the_dtype(dtype):
    """Nothing is widened."""
    x = np.ones((2, 3), dtype=dtype)
    results = [relu(x), linear(x, x, x[:, 0]), flatten(x, 0), add(x, x), dropout(x, 0.3, np.random.default_rng(0))]
    assert [y.dtype for y in results] == [dtype] * 5


F64, F32 = np.zeros((2, 3)), np.zeros((2, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: linear(F64, np.zeros((4, 5))),
            r"linear: wrong number of features, got shape \(2, 3\), expected \(..., 5",
        ),
        (lambda: linear(F64, F32), "linear: mixed dtypes, got weight float32, expected float64 as x"),
        (lambda: linear(F64, F64, np.zeros(3)), r"linear: wrong shape, got bias \(3,\), expected \(2,\)"),
        (lambda: flatten(F64, 1, 2), "flatten: no such axes, got start_dim 1 and end_dim 2"),
        (
            lambda: add(F64, F64[:1]),
            r"add: branch and shortcut differ in shape, got \(2, 3\) and \(1, 3\), expected the",
        ),
        (lambda: add(F64, F32), "add: mixed dtypes, got identity float32, expected float64 as x"),
        (
            lambda: dropout(F64, 1.5, np.random.default_rng(0)),
            "dropout: not a probability, got 1.5, expected between 0 a",
        ),
        (lambda: dropout(F64.astype(int), 0.5, np.random.default_rng(0)), "dropout: not a floating dtype, got int64"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    """One line says what is wrong, what was given and what is needed."""
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
