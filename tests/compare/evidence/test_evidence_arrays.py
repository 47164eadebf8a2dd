"""What is shown of two arrays: the worst elements, the histogram, the heat maps and the channels."""

from __future__ import annotations

import base64
import dataclasses

import msgspec
import numpy as np
import pytest

from layerdiff.compare.evidence.evidence import evidence_of
from layerdiff.compare.metrics import measure


def seen(expected, actual, allowance):
    """The evidence of two arrays."""
    return evidence_of("activations", expected, actual, allowance)


def cells(one):
    """A map's three pictures as arrays."""
    pictures = (one.expected, one.actual, one.difference)
    return [np.frombuffer(base64.b64decode(p), np.uint8).reshape(one.rows, one.columns) for p in pictures]


def noisy(shape, *, dtype=np.float32, seed=0):
    """Two arrays that differ a little everywhere, and what is allowed, another amount everywhere."""
    rng = np.random.default_rng(seed)
    expected = rng.standard_normal(shape).astype(dtype)
    actual = (expected + rng.standard_normal(shape) * 1e-5).astype(dtype)
    return expected, actual, rng.uniform(1e-7, 1e-4, shape)


def _plain():
    return noisy((2, 3, 5, 7))


def _a_floor():
    expected, actual, _ = noisy((1, 4, 6, 6), seed=1)
    return expected, actual, 3e-6


def _nothing_allowed_somewhere():
    expected, actual, allowed = noisy((1, 4, 6, 6), seed=2)
    allowed[0, 2, :3] = 0.0
    return expected, actual, allowed


def _an_allowance_of_nan():
    expected, actual, allowed = noisy((1, 4, 6, 6), seed=3)
    allowed[0, 1, 2, 2] = np.nan
    return expected, actual, allowed


def _not_finite():
    expected, actual, allowed = noisy((1, 4, 6, 6), seed=4)
    actual[0, 3, 1, 5], actual[0, 0, 0, 0], expected[0, 0, 0, 0] = np.nan, np.inf, np.inf
    return expected, actual, allowed


def _overflow():
    expected, actual, allowed = noisy((1, 2, 3, 3), dtype=np.float64, seed=5)
    expected[0, 1, 1, 1], actual[0, 1, 1, 1] = -1.7e308, 1.7e308
    return expected, actual, allowed


def _equals():
    expected = np.zeros((1, 3, 4, 4), np.float32)
    return expected, expected + np.float32(0.5), 0.25


def _features():
    return noisy((3, 11), seed=6)


def _vector():
    return noisy((9,), seed=7)


def _a_scalar_of_nan():
    return np.float32(1).reshape(()), np.float32(np.nan).reshape(()), 0.5


def _scalar():
    return np.float32(1).reshape(()), np.float32(2).reshape(()), 0.5


CASES = [_plain, _a_floor, _nothing_allowed_somewhere, _an_allowance_of_nan, _not_finite, _overflow, _equals, _features,
         _vector, _scalar, _a_scalar_of_nan]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_the_worst_element_is_the_judges(case):
    """The first of the worst elements is the one that the judge names: index, values, allowance and ratio."""
    expected, actual, allowance = case()
    found = seen(expected, actual, allowance)

    judged = measure("activations", expected, actual, allowance)
    worst = found.worst[0]
    assert (worst.index, worst.expected, worst.actual) == (judged.index, judged.expected, judged.actual)
    assert (worst.allowed, worst.ratio) == (judged.allowed, None if judged.ratio == np.inf else judged.ratio)
    histogram = found.histogram
    assert sum(histogram.counts) + histogram.exact + histogram.unbounded == expected.size
    assert len(histogram.edges) == (len(histogram.counts) + 1 if histogram.counts else 0)
    assert b"NaN" not in msgspec.json.encode(found)


def test_the_worst_ten_are_the_ten_furthest_beyond_their_allowance():
    """Ten elements, those with the greatest ratios, in falling order."""
    expected, actual, allowed = noisy((2, 3, 5, 7))
    found = seen(expected, actual, allowed)

    ratios = np.sort((np.abs(actual.astype(np.float64) - expected) / allowed).reshape(-1))[::-1]
    assert [one.ratio for one in found.worst] == list(ratios[:10])
    for one in found.worst:
        assert one.error == abs(float(actual[one.index]) - float(expected[one.index]))
        assert one.allowed == allowed[one.index]


def test_equally_bad_elements_come_in_the_order_of_their_index():
    """Where many are off by the same, the first ten of them are shown."""
    found = seen(*_equals())
    assert [one.index for one in found.worst] == [(0, 0, i // 4, i % 4) for i in range(10)]

    errors = np.random.default_rng(0).integers(1, 4, (1, 3, 40, 40)).astype(np.float32)
    errors[0, 2, 5::9, 7] = 4
    found = seen(np.zeros_like(errors), errors, 0.5)
    first = np.concatenate([np.argwhere(errors == 4), np.argwhere(errors == 3)])
    assert [list(one.index) for one in found.worst] == first[:10].tolist()


def test_elements_that_do_not_differ_are_not_among_the_worst():
    """One element differs: one is shown, and one map."""
    expected = np.ones((1, 3, 4, 4), np.float32)
    actual = expected.copy()
    actual[0, 1, 2, 3] = 3
    found = seen(expected, actual, 0.5)

    assert [(one.index, one.ratio) for one in found.worst] == [((0, 1, 2, 3), 4.0)]
    assert [one.channel for one in found.maps] == [1]
    assert found.channels == (0.0, 4.0, 0.0)
    assert (found.histogram.exact, found.histogram.edges[-2:], found.histogram.counts[-1]) == (47, (3.16, 10.0), 1)


def test_what_has_no_ratio_is_the_worst():
    """Values that are not finite, or differ where nothing is allowed, come before all others, by their error."""
    expected = np.zeros((1, 1, 2, 3), np.float32)
    actual = np.array([[[[5, 2, np.nan], [0, 7, 1]]]], np.float32)
    allowed = np.array([[[[0, 0, 1], [0, 1, 1]]]], np.float64)
    found = seen(expected, actual, allowed)

    assert [(one.index[2:], one.ratio) for one in found.worst] == [
        ((0, 0), None), ((0, 1), None), ((0, 2), None), ((1, 1), 7.0), ((1, 2), 1.0),
    ]  # fmt: skip
    assert (found.worst[2].actual, found.worst[2].error) == (None, None)
    assert (found.histogram.unbounded, found.histogram.exact) == (3, 1)
    assert found.channels == (None,)


def test_the_histogram_counts_half_decades_of_the_allowance():
    """Each edge belongs to what lies above it, and 1 is an edge, so that what is too far stands apart."""
    ratios = np.array([0.1, 0.05, 0.316, 0.999, 1.0, 1.001, 3.16, 3.161, 10.0, 99.0])
    found = seen(np.zeros(10), ratios, 1.0).histogram

    assert found.edges == (0.0316, 0.1, 0.316, 1.0, 3.16, 10.0, 31.6, 100.0)
    assert found.counts == (1, 1, 2, 2, 2, 1, 1)
    # An edge is a round number, and a little off the true half of its decade.
    assert seen(np.zeros(1), np.array([3.161]), 1.0).histogram.counts == (0, 1)


@pytest.mark.parametrize(("ratio", "edges"), [(50.0, (1.0, 100.0)), (2e-4, (1e-4, 1.0)), (1e12, (1.0, 3.16e12))])
def test_the_histogram_reaches_to_1(ratio, edges):
    """However far the errors are from the allowance, its place is seen."""
    found = seen(np.zeros(1), np.array([ratio]), 1.0).histogram

    assert (found.edges[0], found.edges[-1]) == edges
    assert list(found.edges) == sorted(set(found.edges))
    assert sum(found.counts) == 1


@pytest.mark.parametrize(
    ("size", "reduced"), [((112, 112), (28, 28)), ((32, 32), (32, 32)), ((33, 65), (17, 22)), ((1, 7), (1, 7))]
)
def test_a_large_map_is_reduced_and_its_largest_error_is_always_seen(size, reduced):
    """In the cell of its block it is 255, beside the values of that very element."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        expected = rng.uniform(-1, 1, (1, 2, *size)).astype(np.float32)
        actual = (expected + rng.uniform(-0.1, 0.1, expected.shape)).astype(np.float32)
        row, column = (int(rng.integers(side)) for side in size)
        expected[0, 1, row, column], actual[0, 1, row, column] = -2, 2
        one = seen(expected, actual, 1e-3).maps[0]

        tall, wide = (-(-side // 32) for side in size)
        place = (row // tall, column // wide)
        want, have, difference = cells(one)
        assert (one.channel, one.rows, one.columns) == (1, *reduced)
        assert (difference[place], want[place], have[place]) == (255, 0, 255)
        assert (one.low, one.high, one.greatest) == (-2.0, 2.0, 4.0)
        assert difference.max() == 255
        assert (difference == 255).sum() == 1


def test_a_small_map_is_shown_as_it_is():
    """Every cell is its element: 0 for the smallest value on either side, 255 for the greatest."""
    expected = np.array([0.0, 1.0, 2.0, 4.0], np.float32).reshape(1, 1, 2, 2)
    actual = np.array([0.0, 1.0, 3.0, 8.0], np.float32).reshape(1, 1, 2, 2)
    one = seen(expected, actual, 0.5).maps[0]

    want, have, difference = cells(one)
    assert want.tolist() == [[0, 32], [64, 128]]
    assert have.tolist() == [[0, 32], [96, 255]]
    assert difference.tolist() == [[0, 0], [64, 255]]
    assert (one.over, one.ratio) == (2, 8.0)


def test_an_error_that_is_small_beside_the_greatest_is_still_seen():
    """A cell that differs is never 0, one that does not always is."""
    actual = np.array([0.0, 1e-6, 100.0, 0.0], np.float32).reshape(1, 1, 2, 2)

    assert cells(seen(np.zeros_like(actual), actual, 1.0).maps[0])[2].tolist() == [[0, 1], [255, 0]]


def test_a_value_that_is_not_finite_is_seen():
    """It is 255 in the difference; infinity is 255 in the values, NaN is 0."""
    expected = np.ones((1, 1, 2, 2), np.float32)
    actual = np.array([np.nan, np.inf, 1, 1], np.float32).reshape(1, 1, 2, 2)
    one = seen(expected, actual, 1.0).maps[0]

    assert cells(one)[1].tolist() == [[0, 255], [0, 0]]
    assert cells(one)[2].tolist() == [[255, 255], [0, 0]]
    assert (one.low, one.high, one.greatest, one.ratio) == (1.0, 1.0, 0.0, None)


def test_each_channel_is_shown_in_the_image_in_which_it_is_worst():
    """Of a batch the worst image of each channel, the worst channel first."""
    expected = np.zeros((3, 4, 5, 5), np.float32)
    actual = expected.copy()
    actual[0, 1], actual[2, 1, 3, 3], actual[1, 3, 0, 0] = 0.5, 2.0, 1.0
    found = seen(expected, actual, 0.25)

    assert [(one.image, one.channel, one.ratio) for one in found.maps] == [(2, 1, 8.0), (1, 3, 4.0)]
    assert found.channels == (0.0, 8.0, 0.0, 4.0)


def test_no_more_than_16_channels_are_shown_and_of_all_the_worst_ratio():
    """The 16 furthest out, and a number for each of them."""
    expected, actual, allowed = noisy((1, 40, 6, 6), seed=8)
    found = seen(expected, actual, allowed)

    ratios = (np.abs(actual.astype(np.float64) - expected) / allowed).max(axis=(0, 2, 3))
    assert [one.channel for one in found.maps] == list(np.argsort(-ratios)[:16])
    assert len(found.channels) == 40
    assert found.channels == pytest.approx(ratios, rel=5e-4)
    assert all((one > 1) == (true > 1) for one, true in zip(found.channels, ratios, strict=True))


def test_a_ratio_just_above_1_is_not_rounded_to_1():
    """What is beyond its allowance stays so in the figures of the channels."""
    found = seen(np.zeros((1, 2, 1, 2)), np.full((1, 2, 1, 2), 1.00001), 1.0)

    assert found.channels == (1.00001, 1.00001)


@pytest.mark.parametrize("shape", [(2, 1000), (2, 1000, 1, 1)])
def test_features_are_one_row(shape):
    """An output without maps is one row of at most 32 cells, of the image in which it is worst."""
    expected = np.zeros(shape, np.float32)
    actual = expected.copy()
    actual.reshape(2, 1000)[1, 963] = 1
    found = seen(expected, actual, 0.5)

    (one,) = found.maps
    assert (one.image, one.channel, one.rows, one.columns) == (1, None, 1, 32)
    assert cells(one)[2].reshape(-1).tolist() == [255 if cell == 963 // 32 else 0 for cell in range(32)]
    assert [place for place, ratio in enumerate(found.channels) if ratio] == [963]


@pytest.mark.parametrize(("shape", "form"), [((2, 3, 40), (1, 20)), ((1, 3, 2, 3, 4), (6, 4)), ((2, 3, 1, 9), (1, 9))])
def test_other_outputs_are_read_as_channels_too(shape, form):
    """Sequences are one row for each channel, volumes one row for each line of each slice."""
    expected, actual, allowed = noisy(shape, seed=9)
    found = seen(expected, actual, allowed)

    assert {(one.rows, one.columns) for one in found.maps} == {form}
    assert len(found.maps) == len(found.channels) == 3


@pytest.mark.parametrize("case", [_vector, _scalar])
def test_what_has_no_channels_has_no_maps(case):
    """A scalar, or a row without a batch, has its worst elements and its histogram alone."""
    found = seen(*case())

    assert found.worst
    assert not found.maps
    assert not found.channels


def test_arrays_that_are_the_same_have_nothing_to_show():
    """All elements are exact, none is bad, no map is drawn."""
    expected, _, allowed = noisy((1, 4, 6, 6))
    found = seen(expected, expected.copy(), allowed)

    assert (found.worst, found.maps, found.histogram.exact) == ((), (), expected.size)
    assert found.channels == (0.0,) * 4


@pytest.mark.parametrize("layout", ["F", "C"])
def test_the_same_arrays_give_the_same_bytes_however_they_lie_in_memory(layout):
    """What is shown hangs on the values alone."""
    expected, actual, allowed = noisy((1, 5, 40, 37))
    other = seen(np.array(expected, order=layout), np.array(actual, order=layout), np.array(allowed, order=layout))

    assert msgspec.json.encode(other) == msgspec.json.encode(seen(expected, actual, allowed))


def test_the_largest_layer_of_a_resnet_weighs_little():
    """2,048 channels, all of them wrong: a tenth of 1.5 MB, written as a run is."""
    expected, actual, allowed = noisy((1, 2048, 33, 33))
    found = seen(expected, actual, allowed)

    assert (len(found.maps), len(found.channels), len(found.worst)) == (16, 2048, 10)
    assert len(msgspec.json.format(msgspec.json.encode(found), indent=1)) < 150_000
    assert all(len(base64.b64decode(one.expected)) <= 32 * 32 for one in found.maps)
    assert dataclasses.asdict(found)["shape"] == (1, 2048, 33, 33)
