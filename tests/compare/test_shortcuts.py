"""What is left out where two values are the same to the bit, and that nothing is lost by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from layerdiff.compare import lane, metrics
from layerdiff.compare.bits import same_bits
from layerdiff.compare.candidate import Candidate, Failed
from layerdiff.compare.capture import capture
from layerdiff.compare.check import compare_networks
from layerdiff.compare.expected import Expected
from layerdiff.compare.metrics import equal, measure
from layerdiff.compare.pairs import Pair
from layerdiff.compare.trace import Op
from layerdiff.compare.yardstick import walk

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "values",
    [[1.0, -2.0, 3.0], [0.0], [-0.0, 5.0], [NAN, 1.0], [1.0, INF, -INF, NAN], [3e38, 3e38]],
    ids=["plain", "zero", "minus zero", "nan first", "all kinds", "sum overflows"],
)
@pytest.mark.parametrize("allowance", [0.0, 1.0, "array"])
def test_what_is_the_same_to_the_bit_measures_as_the_long_way_does(dtype, values, allowance):
    """`equal` gives every figure that `measure` gives, but for the allowance."""
    array = np.array(values, dtype)
    bound = np.linspace(0, 1, array.size) if allowance == "array" else allowance
    with np.errstate(all="ignore"):
        assert replace(measure("dense", array, array.copy(), bound), allowed=None) == equal("dense", array)


def test_the_same_to_the_bit_is_stricter_than_equal():
    """Two zeros of different signs are not the same bits, two like NaNs are; shape, dtype and every element count."""
    big = np.random.default_rng(0).standard_normal((3, 70_000)).astype(np.float32)
    last = big.copy()
    last[-1, -1] = np.nextafter(last[-1, -1], 9)

    assert same_bits(big, big.copy())
    assert not same_bits(big, last)
    assert same_bits(big.T, big.copy().T)
    assert not same_bits(big.T, last.T)
    assert same_bits(big.T, np.ascontiguousarray(big.T))
    assert not same_bits(np.zeros(2), -np.zeros(2))
    assert same_bits(np.array([NAN]), np.array([NAN]))
    assert not same_bits(np.zeros(2), np.zeros((2, 1)))
    assert not same_bits(np.zeros(2), np.zeros(2, np.int64))
    assert not same_bits(np.zeros(2, complex), np.zeros(2, complex))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("size", [1, 2047, 2048, 2049, 65_537, 131_072, 200_001])
def test_a_single_bit_anywhere_is_seen(dtype, size):
    """Whatever the size, and wherever the element whose last bit differs."""
    array = np.random.default_rng(0).integers(0, 200, size).astype(dtype)
    for place in {0, size // 2, size - 2, size - 1} - {-1}:
        other = array.copy()
        other.view(np.uint8)[place * other.itemsize] ^= 1

        assert same_bits(array, array.copy())
        assert not same_bits(array, other)


def test_the_short_way_and_the_long_way_give_one_report(make_resnet, x, monkeypatch):
    """With every shortcut for equal bits taken away, the report is the same but for the allowances."""
    actual = make_resnet()
    actual.layer2[1].bn1.eps = 1e-4
    short = compare_networks(make_resnet(), actual, x)
    monkeypatch.setattr(lane, "same_bits", lambda a, b: False)
    monkeypatch.setattr(lane, "_again", lambda measures: None)
    long = compare_networks(make_resnet(), actual, x)

    def bare(report):
        # What lies at and behind the fault is measured against a floor that began elsewhere.
        found = []
        for layer in report.layers:
            alone = [m for m in layer.measures if m.probe != "propagated"]
            found.append((layer.layer, layer.status, [replace(m, allowed=None) for m in alone]))
        return found

    assert bare(short) == bare(long)
    assert all(m.allowed is not None for layer in long.layers for m in layer.measures)
    assert any(m.allowed is None for layer in short.layers for m in layer.measures)
    assert short.verdict == long.verdict == "different"


def test_equal_networks_are_same_without_a_single_allowance(make_resnet, x, monkeypatch):
    """Where every bit is equal no error is measured at all."""
    monkeypatch.setattr(lane, "measure", None)

    assert compare_networks(make_resnet(), make_resnet(), x).verdict == "same"


def test_a_hair_in_one_element_is_not_the_same(make_resnet, x):
    """One weight moved by a hair is seen: the layer is same, within its allowance, and not at zero of it."""
    actual = make_resnet()
    weight = actual.layer3[0].conv1.weight.data.view(-1)
    weight[7] *= 1 + 1e-5

    report = compare_networks(make_resnet(), actual, x, dtypes=("float32",))

    ratios = {layer.layer: max(m.ratio for m in layer.measures) for layer in report.layers}
    assert ratios["layer3.0.conv1"] > 0
    assert next(name for name, ratio in ratios.items() if ratio > 0) == "layer3.0.conv1"


def pairs_of(ops):
    """Every operation with itself."""
    return [Pair((op,), (op,), tuple(dict.fromkeys(op.inputs))) for op in ops]


@pytest.mark.parametrize("first", [0, 20, 50])
def test_the_copy_that_drifts_begins_where_it_is_asked_for(make_resnet, x, first):
    """Asked for from some layer on, the floors there begin with that layer's allowance and add up from it."""
    ops = capture(make_resnet(), x).ops
    whole = [step.floor for step in walk(ops, x, seed=0)]
    expected = Expected(ops, pairs_of(ops), x, 0, None)

    floors = {}
    for i, _ in enumerate(ops):
        part = expected.advance()
        if i >= first:
            floors[i] = expected.floor()
        if i == first:
            assert floors[i] <= part.allowance.max() * (1 + 1e-6)
    if first == 0:
        assert list(floors.values()) == whole
    assert 0 < floors[len(ops) - 1] <= 2 * whole[-1]
    assert part.allowance.max() < floors[len(ops) - 1]


def test_a_copy_that_must_cover_what_is_not_known_begins_at_the_input(make_resnet, x):
    """Behind a layer without an allowance the floors are those of the whole network."""
    ops = capture(make_resnet(), x).ops
    whole = [step.floor for step in walk(ops, x, seed=0)]
    expected = Expected(ops, pairs_of(ops), x, 0, None)

    for _ in range(11):
        expected.advance()
    expected.drift_from_start()
    expected.advance()

    assert expected.floor() == whole[11]


def _op(layer, *inputs, run=None, calls=None):
    def default(*arrays):
        if calls is not None:
            calls.append(layer)
        return sum(arrays) + np.float32(1)

    return Op(layer, layer, "relu", inputs, {}, {}, (2,), "float32", run=run or default)


def test_the_candidates_values_are_made_when_they_are_asked_for():
    """What nobody asks for never runs, what was read for the last time is let go of, nothing runs twice."""
    calls = []
    ops = [_op("a", "input", calls=calls), _op("unused", "a", calls=calls), _op("b", "a", "a", calls=calls)]
    candidate = Candidate(ops, np.zeros(2, np.float32), ["b", "a"])

    assert candidate.take("b").tolist() == [3, 3]
    assert candidate.take("a").tolist() == [1, 1]
    assert calls == ["a", "b"]
    assert not candidate._values


def test_what_an_operation_gave_alone_is_taken_over():
    """An operation whose result is taken over does not run again, and its inputs are let go of."""
    calls = []
    ops = [_op("a", "input", calls=calls), _op("b", "a", calls=calls), _op("c", "b", calls=calls)]
    candidate = Candidate(ops, np.zeros(2, np.float32), ["c"])

    candidate.value("a")
    candidate.accept([ops[1]], {"b": np.full(2, 7, np.float32)})

    assert candidate.take("c").tolist() == [8, 8]
    assert calls == ["a", "c"]
    assert not candidate._values


def test_behind_what_raises_there_are_no_values():
    """An operation that raises is named by everything behind it, runs once, and nothing beside it is lost."""
    calls = []

    def fails(*arrays):
        calls.append("b")
        raise RuntimeError

    ops = [_op("a", "input"), _op("b", "a", run=fails), _op("c", "b"), _op("d", "a"), _op("e", "nobody")]
    candidate = Candidate(ops, np.zeros(2, np.float32), ["b", "c", "d", "e"])

    for layer, named in (("c", "b"), ("b", "b"), ("e", "nobody")):
        with pytest.raises(Failed) as caught:
            candidate.take(layer)
        assert caught.value.args == (named,)
    assert calls == ["b"]
    assert candidate.take("d").tolist() == [2, 2]


def test_nan_that_both_give_is_still_counted(make_resnet, x):
    """Equal NaNs are the same bits, and still make the layer one that could not be judged."""
    expected = make_resnet()
    expected.layer4[1].bn2.weight.data[0] = NAN

    report = compare_networks(expected, expected, x)

    assert report.verdict == "unknown"
    assert {layer.status for layer in report.layers if layer.layer.startswith("layer4.1.bn2")} == {"unjudged"}


def test_the_sum_that_looks_for_nan_is_only_a_first_look():
    """Numbers whose sum overflows are finite, and none of them is counted."""
    with np.errstate(all="ignore"):
        assert metrics.equal("dense", np.full(4, 3e38, np.float32)).nonfinite_actual == 0
