"""Playback and the end-to-end floor."""

from __future__ import annotations

import numpy as np
import pytest

from layerdiff.compare.capture import capture
from layerdiff.compare.differences import attribute_differences, parameter_differences
from layerdiff.compare.playback import Playback, run
from layerdiff.compare.saved import read_trace, write_trace
from layerdiff.compare.trace import Op
from layerdiff.compare.yardstick import DRAWN, drift, noise, walk


def test_values_are_dropped_once_they_were_read(make_resnet, x):
    """Never are more than three values held at once, of the 69 of a ResNet-18: an input, a shortcut, an output."""
    ops = capture(make_resnet(), x).ops
    playback = Playback(ops, x, watched=())

    held = []
    for _ in ops:
        playback.step()
        held.append(len(playback._values))

    assert max(held) <= 3
    assert held[-1] == 0


def test_a_watched_value_is_held_until_it_is_taken(make_resnet, x):
    """A value that is to be taken later waits, and is then gone."""
    ops = capture(make_resnet(), x).ops
    playback = Playback(ops, x, watched=["bn1", "fc"])

    playback.take("fc")
    assert list(playback._values) == ["bn1"]

    playback.take("bn1")
    assert not playback._values


def test_a_saved_operation_cannot_be_run_again(make_resnet, x, tmp_path):
    """An operation that was read from a file says that it cannot be run."""
    path = tmp_path / "a.safetensors"
    write_trace(capture(make_resnet(), x, until="bn1", keep=True), path)

    with pytest.raises(ValueError, match="conv1: cannot be run again, it comes from a saved trace"):
        run(read_trace(path).ops[0], (x,))


def test_the_floor_is_what_full_allowances_add_up_to(make_resnet, x):
    """The first floor is nearly the layer's greatest allowance, with depth it grows, in float64 it is 2^29 less."""
    ops = capture(make_resnet(), x).ops
    floors = {}
    for dtype in (np.float32, np.float64):
        steps = list(walk(ops, x.astype(dtype), seed=0))
        floors[dtype] = [step.floor for step in steps]
        assert 0.8 * steps[0].allowance.max() < steps[0].floor <= steps[0].allowance.max() * (1 + 1e-6)
        assert steps[-1].floor > steps[-1].allowance.max()

    ratios = np.array(floors[np.float32]) / np.array(floors[np.float64])
    assert (ratios > 2.0**27).all()
    assert (ratios < 2.0**31).all()


def test_the_floor_depends_on_the_seed_alone(make_resnet, x):
    """The same seed gives the same floors; another seed gives others."""
    ops = capture(make_resnet(), x).ops
    first, again, other = ([step.floor for step in walk(ops, x, seed=seed)] for seed in (0, 0, 1))

    assert first == again
    assert first != other


def test_an_unknown_kind_has_no_allowance(x):
    """Of an operation without a rule nothing is claimed."""
    op = Op("act", "act", "softsign", ("input",), {}, {}, x.shape, "float32", run=lambda x: x)

    (step,) = walk([op], x, seed=0)

    assert (step.allowance, step.floor) == (None, 0.0)


def _op(attributes, parameters, kind="conv2d"):
    return Op("a", "a", kind, (), attributes, parameters, (1,), "float32")


def test_differences_are_named():
    """Attributes that differ, and parameters that are absent, misshapen or unequal, are named with got and expected."""
    ones = np.ones(3, np.float32)
    expected = _op({"stride": (1, 1), "groups": 1}, {"weight": ones, "bias": ones, "scale": ones})
    actual = _op({"stride": (2, 2), "groups": 1}, {"weight": ones * [1, 2, 1], "bias": np.ones(4), "shift": ones})

    assert attribute_differences(expected, actual) == ("stride: got (2, 2), expected (1, 1)",)
    assert parameter_differences(expected, actual) == (
        "weight: 1 of 3 values are not as expected, by up to 1.0e+00",
        "bias: got shape (4,), expected (3,)",
        "scale: got none, expected one of shape (3,)",
        "shift: got one of shape (3,), expected none",
    )


def test_a_bias_of_zeros_is_no_difference():
    """A convolution with a bias of zeros is the convolution without one."""
    assert parameter_differences(_op({}, {}), _op({}, {"bias": np.zeros(3)})) == ()
    assert attribute_differences(_op({"stride": 1}, {}), _op({"stride": 2}, {}, kind="linear")) == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_amounts_are_uniform_up_to_the_allowance(dtype):
    """Amounts are of both signs, of no greater size than is allowed, uniform, the same for a seed, and in its dtype."""
    op, output = _op({}, {}), np.zeros((3, DRAWN + 7), dtype)
    allowance = np.linspace(1e-6, 1e-3, output.shape[1])[None]

    amounts = noise(op, output, allowance, seed=0)
    shares = amounts / allowance

    assert (amounts.dtype, amounts.shape) == (dtype, output.shape)
    assert -1.000001 <= shares.min() < -0.999
    assert 0.999 < shares.max() <= 1.000001
    assert np.histogram(shares, 20, (-1.0001, 1.0001))[0] == pytest.approx(output.size / 20, rel=0.05)
    assert np.square(shares).mean() == pytest.approx(1 / 3, rel=0.01)
    assert abs(np.corrcoef(shares[0, 1:], shares[0, :-1])[0, 1]) < 0.02
    assert np.array_equal(amounts, noise(op, output, allowance, seed=0))
    assert not np.array_equal(amounts, noise(op, output, allowance, seed=1))
    assert noise(op, output, np.zeros((1, 1)), seed=0) is None


@pytest.mark.parametrize("place", [0, 40_000, 99_999])
@pytest.mark.parametrize("by", [-3.0, 3.0])
def test_the_drift_is_the_greatest_distance_wherever_it_lies(place, by):
    """Of 100,000 elements the one that lies furthest off counts, above or below; NaN is never overlooked."""
    straight = np.random.default_rng(0).standard_normal((10, 10_000))
    moved = straight + 0.5
    moved.flat[place] = straight.flat[place] + by

    assert drift(moved, straight) == pytest.approx(3)
    assert drift(moved.T, straight.T) == pytest.approx(3)
    moved.flat[place] = np.nan
    assert np.isnan(drift(moved, straight))
