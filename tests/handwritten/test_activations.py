"""The activations of the NumPy half: their values are torch's at every edge, and so are their gradients."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional
from vjp_kit import STEP, UNIT, check_against_torch, check_finite_differences, check_manners, gamma, gradients_by_tape

from layerdiff.handwritten.numpy_ops import elu, leaky_relu, log_softmax, selu, sigmoid, softmax, tanh
from layerdiff.handwritten.numpy_ops.selu import ALPHA, SCALE

TRANSCENDENTAL = 8
"""Roundings granted to one exp, expm1, log or tanh: NumPy promises 4 units in the last place, torch's are better."""

# Each is (ours, torch's, further arguments, roundings of a value, bound of a gradient less the roundings' unit).
# leaky_relu multiplies once on either side: the same product. The others may round differently as often as counted:
# elu's slope is exp, alpha and the covector; selu's has another two for its constants. A sigmoid errs by 3 beside its
# exp, relative to y, and its slope (1-y)y by 7 + 2 exp relative to y; tanh's slope 1-y^2 by 2 exp y^2 + 3 absolutely.
POINTWISE = [
    pytest.param(leaky_relu, functional.leaky_relu, (), 1, lambda x: 0, id="leaky_relu"),
    pytest.param(leaky_relu, functional.leaky_relu, (-0.3,), 1, lambda x: 0, id="leaky_relu, negative"),
    pytest.param(leaky_relu, functional.leaky_relu, (0.0,), 1, lambda x: 0, id="leaky_relu, flat"),
    pytest.param(
        elu, functional.elu, (), TRANSCENDENTAL + 1, lambda x: (TRANSCENDENTAL + 2) * np.exp(np.minimum(x, 0)), id="elu"
    ),
    pytest.param(
        elu,
        functional.elu,
        (1.7,),
        TRANSCENDENTAL + 1,
        lambda x: (TRANSCENDENTAL + 2) * 1.7 * np.exp(np.minimum(x, 0)),
        id="elu, steep",
    ),
    pytest.param(
        selu,
        functional.selu,
        (),
        TRANSCENDENTAL + 3,
        lambda x: (TRANSCENDENTAL + 4) * SCALE * ALPHA * np.exp(np.minimum(x, 0)),
        id="selu",
    ),
    pytest.param(
        sigmoid,
        functional.sigmoid,
        (),
        TRANSCENDENTAL + 3,
        lambda x: (2 * TRANSCENDENTAL + 7) / (1 + np.exp(-x)),
        id="sigmoid",
    ),
    pytest.param(
        tanh, functional.tanh, (), TRANSCENDENTAL, lambda x: 2 * TRANSCENDENTAL * np.tanh(x) ** 2 + 3, id="tanh"
    ),
]

EDGES = [0.0, -0.0, 1e-20, -1e-20, 1e-5, -1e-5, 0.7, -0.7, 20.0, -20.0, 80.0, -80.0]
EXTREMES = [1e5, -1e5, np.inf, -np.inf]


def away_from_zero(shape, seed=0):
    """Values that no difference quotient carries over a kink at 0."""
    generator = np.random.default_rng(seed)
    return generator.choice([-1.0, 1.0], shape) * generator.uniform(2 * STEP, 3, shape)


@pytest.mark.parametrize(("op", "theirs", "further", "roundings", "_"), POINTWISE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_torchs(op, theirs, further, roundings, _, dtype):
    """Near 0, where nothing cancels, as far out as the dtype goes, at infinity and for NaN; without a warning."""
    values = [*EDGES, *EXTREMES, np.finfo(dtype).max, -np.finfo(dtype).max, np.nan]
    if further == (0.0,):
        values.remove(-np.inf)
    x = np.array(values, dtype=dtype)
    if op is selu:  # times its scale, the largest number is infinite
        x = x[np.abs(x) < np.finfo(dtype).max]
    y = op(x, *further)
    expected = theirs(torch.from_numpy(x), *further).numpy()
    # Beside the roundings counted, the smallest number that the dtype has: torch flushes what is below its normals.
    np.testing.assert_allclose(
        y, expected, rtol=roundings * np.finfo(dtype).eps, atol=float(np.finfo(dtype).tiny), strict=True
    )


@pytest.mark.parametrize(("op", "theirs", "further", "roundings", "units"), POINTWISE)
def test_gradients_are_torchs(op, theirs, further, roundings, units):
    """At random values, at 0, where the slope is a convention, and far out, where it must not become NaN."""
    far = EXTREMES[:2] if further == (0.0,) else EXTREMES
    for x in (away_from_zero((4, 5)), np.array([*EDGES, *far])):
        with warnings.catch_warnings():
            # The bound itself may overflow where it need not be tight: exp(-x) of a sigmoid far out.
            warnings.simplefilter("ignore", RuntimeWarning)
            allowed = 2 * gamma(1) * np.asarray(units(x))
        check_against_torch(
            op,
            theirs,
            (x, *further),
            bounds=lambda covector, allowed=allowed: [allowed * np.abs(covector) + np.finfo(np.float64).tiny],
        )
    check_finite_differences(op, (away_from_zero((4, 5)), *further), roundings=roundings)
    check_manners(op, (away_from_zero((4, 5)), *further))


@pytest.mark.parametrize("op", [leaky_relu, elu])
def test_the_slope_at_zero_is_that_of_the_negative_side(op):
    """As torch has it, for a zero of either sign."""
    covector, (gradient,) = gradients_by_tape(op, (np.array([0.0, -0.0]), 0.3))
    np.testing.assert_array_equal(gradient, 0.3 * covector)


def test_a_flat_leaky_relu_lets_infinity_pass():
    """Plus infinity is not multiplied by the slope of 0, which would make it NaN."""
    assert leaky_relu(np.array([np.inf, -2.0]), 0.0).tolist() == [np.inf, 0]


def test_selu_keeps_mean_and_variance():
    """Its constants are those by which a standard normal has mean 0 and variance 1 afterwards."""
    # The moments of exp(x) below 0 are exp(1/2) Phi(-1) and exp(2) Phi(-2), Phi(-z) being erfc(z / sqrt 2) / 2.
    first, second = (math.exp(z * z / 2) * math.erfc(z / math.sqrt(2)) / 2 for z in (1, 2))
    mean = SCALE * (1 / math.sqrt(2 * math.pi) + ALPHA * (first - 1 / 2))
    square = SCALE**2 * (1 / 2 + ALPHA**2 * (second - 2 * first + 1 / 2))
    # No term is larger than 3, and there are fewer than 20 roundings, exp and erfc counted as four each.
    assert abs(mean) < 3 * gamma(20)
    assert abs(square - 1) < 3 * gamma(20)


def softmax_bounds(x, axis):
    """Bounds between two softmaxes' gradients: y errs by n + 2 exp, the sum of g·y by another n + 1."""
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    y /= y.sum(axis=axis, keepdims=True)
    n = x.shape[axis]

    def bounds(covector):
        g = np.abs(covector)
        return [2 * gamma(3 * n + 4 * TRANSCENDENTAL + 8) * y * (g + (g * y).sum(axis=axis, keepdims=True))]

    return bounds


def log_softmax_bounds(x, axis):
    """Bounds between two log-softmaxes' gradients.

    The sum of n powers errs by n + exp, its logarithm absolutely by as much, and by exp times its size, which is at
    most log n; the subtraction rounds |y|. All of this is the relative error of exp(y).
    """
    y = x - np.logaddexp.reduce(x, axis=axis, keepdims=True)
    n = x.shape[axis]
    units = 2 * n + TRANSCENDENTAL * (2 + np.log(n)) + np.abs(y) + 4

    def bounds(covector):
        g = np.abs(covector)
        return [2.01 * UNIT * (units * np.exp(y) * g.sum(axis=axis, keepdims=True) + 2 * g)]

    return bounds


@pytest.mark.parametrize("shape_and_axis", [((4, 7), -1), ((4, 7), 0), ((2, 3, 4), 1), ((5,), 0), ((3, 1), 1)])
@pytest.mark.parametrize(("op", "theirs"), [(softmax, functional.softmax), (log_softmax, functional.log_softmax)])
def test_softmaxes_go_back_as_torchs(op, theirs, shape_and_axis):
    """Along any axis, counted from either end."""
    shape, axis = shape_and_axis
    x = np.random.default_rng(0).uniform(-3, 3, shape)
    bounds = (softmax_bounds if op is softmax else log_softmax_bounds)(x, axis)
    check_against_torch(op, theirs, (x,), {"axis": axis}, torch_options={"dim": axis}, bounds=bounds)
    # Beside what the bounds count, x less the largest rounds: six units of 1 at most.
    roundings = shape[axis] + TRANSCENDENTAL * 4 + 8
    check_finite_differences(
        op, (x,), {"axis": axis}, roundings=roundings, magnitude=lambda x, axis: 6 + np.abs(op(x, axis))
    )
    check_manners(op, (x,), {"axis": axis})


ROWS = [
    [0.0, 1.0, 2.0],
    [1e4, 0.0, -1e4],
    [-1e5, -1e5 - 1, -1e5 - 2],
    [1e30, 1e30, 0.0],
    [-np.inf, 0.0, 1.0],
    [-np.inf, -np.inf, 3.0],
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "theirs"), [(softmax, functional.softmax), (log_softmax, functional.log_softmax)])
def test_softmaxes_are_safe(op, theirs, dtype):
    """Large values do not overflow, and minus infinity has no share: as torch, without a warning."""
    x = np.array(ROWS, dtype=dtype)
    expected = theirs(torch.from_numpy(x), dim=1).numpy()
    # A value errs by n + 2 exp units, in log-softmax absolutely; below the smallest normal number torch flushes to 0.
    unit = (3 + 2 * TRANSCENDENTAL) * float(np.finfo(dtype).eps)
    absolute = float(np.finfo(dtype).tiny) if op is softmax else unit
    np.testing.assert_allclose(op(x, axis=1), expected, rtol=unit, atol=absolute, strict=True)


def test_a_small_share_has_a_logarithm():
    """Where softmax gives 0, its logarithm still says how little it is."""
    x = np.array([[0.0, -2000.0]])
    assert softmax(x)[0, 1] == 0
    assert log_softmax(x)[0, 1] == -2000


@pytest.mark.parametrize("op", [softmax, log_softmax])
@pytest.mark.parametrize("row", [[-np.inf, -np.inf], [np.inf, 0.0], [np.nan, 0.0]])
def test_where_there_is_no_softmax_it_is_nan(op, row):
    """As in torch; NumPy warns of the infinities."""
    x = np.array([row, [0.0, 0.0]])
    with np.errstate(invalid="ignore"):
        y = op(x, axis=1)
    np.testing.assert_array_equal(
        np.isnan(y), torch.isnan(getattr(functional, op.__name__)(torch.from_numpy(x), dim=1))
    )
    assert np.isnan(y[0]).all()


@pytest.mark.parametrize("op", [leaky_relu, elu, selu, sigmoid, tanh, softmax, log_softmax])
def test_integers_are_refused(op):
    """They would quietly become float64."""
    with pytest.raises(ValueError, match=f"^{op.__name__}: not a floating dtype, got int64, expected float32"):
        op(np.arange(3))


@pytest.mark.parametrize("op", [leaky_relu, elu, selu, sigmoid, tanh])
def test_a_single_number_stays_an_array(op):
    """A tape knows arrays only, and NumPy makes numbers of arrays without axes."""
    assert isinstance(op(np.array(-0.5)), np.ndarray)


@pytest.mark.parametrize("op", [softmax, log_softmax])
@pytest.mark.parametrize(
    ("shape", "axis", "message"),
    [
        ((2, 3), 2, r"no such axis, got 2 of 2, expected one that \(2, 3\) has"),
        ((2, 3), -3, r"no such axis, got -3 of 2, expected one that \(2, 3\) has"),
        ((), 0, r"no such axis, got 0 of 0, expected one that \(\) has"),
        ((2, 0), 1, r"nothing along axis 1, got shape \(2, 0\), expected at least one value"),
    ],
)
def test_an_axis_that_is_not_there_is_refused(op, shape, axis, message):
    """And one along which nothing could add up to 1."""
    with pytest.raises(ValueError, match=f"^{op.__name__}: {message}"):
        op(np.zeros(shape), axis=axis)


def test_an_empty_batch_has_empty_shares():
    """No rows in, no rows out."""
    assert softmax(np.zeros((0, 3))).shape == log_softmax(np.zeros((0, 3))).shape == (0, 3)
