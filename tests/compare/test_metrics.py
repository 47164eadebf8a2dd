"""The comparison of two arrays."""

from __future__ import annotations

import numpy as np
import pytest

from layerdiff.compare.metrics import measure


def test_the_worst_element_is_the_one_furthest_beyond_its_own_allowance():
    """Not the greatest error: the greatest error in units of what is allowed there."""
    expected = np.array([[0.0, 0.0, 0.0]])
    actual = np.array([[5.0, 1.0, 0.0]])

    found = measure("activations", expected, actual, np.array([[10.0, 0.1, 1.0]]))

    assert found.index == (0, 1)
    assert found.ratio == pytest.approx(10)
    assert (found.over, found.size, found.max_abs, found.allowed, found.actual) == (1, 3, 5.0, 0.1, 1.0)


def test_an_error_where_none_is_allowed_has_no_ratio():
    """Where the allowance is zero any error is over, and no number says by how much."""
    found = measure("activations", np.zeros(4), np.array([0.0, 1e-30, 0.0, 2e-30]), 0.0)

    assert (found.ratio, found.over, found.index) == (None, 2, (3,))


def test_equal_arrays_are_at_zero_of_their_allowance():
    """No error gives ratio 0, with an allowance or without; minus zero is zero."""
    zero = measure("dense", np.zeros(3), -np.zeros(3), 0.0)

    assert (zero.ratio, zero.over, zero.max_abs) == (0.0, 0, 0.0)


@pytest.mark.parametrize(
    ("expected", "actual", "counts"),
    [
        ([1.0, 2.0], [1.0, np.nan], (0, 1)),
        ([1.0, np.nan], [1.0, np.nan], (1, 1)),
        ([np.inf, 2.0], [np.inf, 2.0], (1, 1)),
        ([np.inf, 2.0], [-np.inf, 2.0], (1, 1)),
        ([1.0, 2.0], [-np.inf, np.nan], (0, 2)),
    ],
)
def test_what_is_not_finite_is_counted_and_never_equal(expected, actual, counts):
    """NaN and infinities are counted on both sides, and appear in no other figure."""
    with np.errstate(all="ignore"):
        found = measure("activations", np.array(expected), np.array(actual), 1.0)

    assert (found.nonfinite_expected, found.nonfinite_actual) == counts
    assert np.isfinite(found.max_abs)
    # Where only one side is finite nothing is allowed.
    assert (found.ratio is None) == (counts[0] != counts[1])


@pytest.mark.parametrize(
    "actual", [np.zeros((2, 3)), np.zeros(3, np.float32), np.zeros((0,))], ids=["shape", "dtype", "empty"]
)
def test_nothing_is_broadcast_and_nothing_empty_is_compared(actual):
    """Arrays that differ in shape or dtype, or are empty, are refused: none of that may pass for agreement."""
    expected = np.zeros((0,)) if actual.size == 0 else np.zeros(3)

    with pytest.raises(ValueError, match="measure: got"):
        measure("activations", expected, actual, 1.0)


def test_a_nan_in_another_place_is_a_difference():
    """One NaN on each side, in different places, is not one NaN on both."""
    with np.errstate(all="ignore"):
        found = measure("dense", np.array([np.nan, 1.0]), np.array([1.0, np.nan]), 1.0)

    assert (found.over, found.ratio) == (2, None)


@pytest.mark.parametrize("allowance", [np.nan, -1.0])
def test_an_allowance_that_is_none_allows_nothing(allowance):
    """An allowance that is NaN or negative lets nothing pass."""
    found = measure("activations", np.array([1.0]), np.array([5.0]), allowance)

    assert (found.over, found.ratio) == (1, None)


def test_a_difference_that_overflows_is_a_difference():
    """1e308 and -1e308 lie further apart than a number can say, and are over."""
    found = measure("activations", np.array([1e308]), np.array([-1e308]), 0.0)

    assert (found.over, found.ratio, np.isfinite(found.max_abs)) == (1, None, True)


def test_float32_errors_are_taken_in_float64():
    """The difference of two large float32 numbers of opposite sign does not overflow."""
    big = np.array([3e38], np.float32)

    assert measure("activations", big, -big, 1.0).max_abs == pytest.approx(6e38)


def test_a_scalar_is_compared_like_everything_else():
    """One number that is not finite is counted, and no error of ours."""
    found = measure("activations", np.float32(1).reshape(()), np.float32(np.nan).reshape(()), 0.5)

    assert (found.index, found.over, found.ratio, found.nonfinite_actual) == ((), 1, None, 1)
