"""The comparison of two arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from layerdiff.compare import metrics
from layerdiff.compare.metrics import measure
from layerdiff.compare.pieces import pieces


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


def plainly(expected, actual, allowance):
    """The figures of `measure` by their definitions, on whole arrays: over, max_abs, ratio, index."""
    with np.errstate(all="ignore"):
        error = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
        both, one = np.isfinite(expected) & np.isfinite(actual), np.isfinite(expected) != np.isfinite(actual)
        error = np.where(both, np.where(np.isfinite(error), error, np.finfo(np.float64).max), 0.0)
        allowed = np.broadcast_to(np.asarray(allowance, np.float64), error.shape)
        over = (both & ~(error <= allowed)) | one
        where_none = over & (one | ~(allowed > 0))
        if where_none.any():
            return over.sum(), error.max(), None, int(np.where(where_none, error + one, -1.0).argmax())
        ratios = np.where(allowed > 0, error / allowed, 0.0)
        counted = over if not (both.all() and (allowed > 0).all()) else ratios > 1
        return counted.sum(), error.max(), ratios.max(), int(ratios.argmax())


SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e-45, 1.1754944e-38, -1.1754944e-38, 3.4e38, -3.4e38, 5e-324, 1e-300, 1e300]


@st.composite
def compared(draw):
    """Two arrays that hardly differ, or do, and what is allowed, of numbers of every size."""
    dtype = np.dtype(draw(st.sampled_from(["float32", "float64"])))
    size = draw(st.integers(1, 25))
    values = st.sampled_from(SPECIAL) | st.floats(-4, 4) | st.sampled_from([np.nan, np.inf, -np.inf])
    plain = draw(st.booleans())
    one = st.floats(0.5, 2) if plain else values
    numbers = draw(st.lists(one, min_size=size, max_size=size))
    steps = np.array(draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size)))
    with np.errstate(all="ignore"):
        expected = np.array(numbers, dtype)
        actual = (expected + steps * np.spacing(np.abs(expected))).astype(dtype)
        if draw(st.booleans()):
            actual[draw(st.integers(0, size - 1))] = draw(values)
    bounds = st.floats(1e-8, 1) | st.sampled_from([1e-7, 2.0**-23, 1e-38, 1e-310, 5e-324, 1e300])
    if not plain:
        bounds |= st.sampled_from([0.0, -1.0, -5e-324, np.nan, np.inf])
    if draw(st.booleans()):
        return expected, actual, draw(bounds)
    return expected, actual, np.array(draw(st.lists(bounds, min_size=size, max_size=size)))


@settings(max_examples=600, deadline=None, derandomize=True)
@given(arrays=compared(), length=st.integers(1, 9), first=st.integers(1, 9))
@example(arrays=(np.zeros(3), np.array([0, 1e-310, 2e-310]), 1e300), length=2, first=2)
@example(arrays=(np.zeros(2), np.array([1.5e-290, 1.5e-290 * (1 + 2**-48)]), 1e20), length=1, first=1)
@example(arrays=(np.ones(3), np.array([1 + 3e-7, np.nan, 1]), 1e-7), length=1, first=1)
@example(arrays=(np.ones(4), 1 + np.array([0, 0, 2e-16, 2e-16]), np.array([1, -1, 1, 1e-16])), length=2, first=2)
def test_every_figure_is_that_of_the_plain_formula(arrays, length, first):
    """Whatever is left out where a piece cannot matter, each figure is that of its definition, to the bit."""
    expected, actual, allowance = arrays
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "pieces", lambda size, **_: pieces(size, first=first, length=length))
        found = measure("dense", expected, actual, allowance)

    over, max_abs, ratio, index = plainly(expected, actual, allowance)

    assert (found.over, found.max_abs, found.ratio, found.index) == (over, max_abs, ratio, (index,))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fault", ["none", "one", "many", "nan"])
def test_in_arrays_of_many_pieces_nothing_is_overlooked(dtype, fault):
    """Among 200,000 elements each figure is that of its definition, with one uniform allowance or one for each."""
    rng = np.random.default_rng(0)
    expected = rng.standard_normal((4, 50_000)).astype(dtype)
    actual = (expected * (1 + 1e-6 * rng.standard_normal(expected.shape))).astype(dtype)
    if fault == "one":
        actual[3, 777] += dtype(1e-3)
    elif fault == "many":
        actual[1] += dtype(1)
    elif fault == "nan":
        actual[2, 5] = np.nan
    for allowance in (1e-5, 1e-5 * np.abs(expected.astype(np.float64)) + 1e-9):
        found = measure("dense", expected, actual, allowance)
        over, max_abs, ratio, index = plainly(expected, actual, allowance)

        assert (found.over, found.max_abs, found.ratio) == (over, max_abs, ratio)
        assert np.ravel_multi_index(found.index, expected.shape) == index
