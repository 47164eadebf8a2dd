"""Faults planted in correct networks are found and explained, and changes that change nothing are not reported."""

import numpy as np
import pytest
import torch
from faults import judging, pairs, plan
from faults.hosts import HOSTS, correct, expected_side, host
from faults.misses import MISSES

from layerdiff.compare.catalogue import CAUSES

FAULTS = [fault for fault in plan.FAULTS if not fault.equivalent]
EQUIVALENTS = [fault for fault in plan.FAULTS if fault.equivalent]
FIRST = list({fault.code: fault for fault in reversed(FAULTS)}.values())[::-1]

# With these every host is among them.
MORE = [("A5", "numpy-no-shortcut"), ("B7", "four-groups"), ("E6", "in-place"), ("C7", "eps-outside"),
        ("B9", "its-own-bias-along-width")]  # fmt: skip
CHOSEN = [*FIRST, *(fault for fault in FAULTS if (fault.code, fault.name) in MORE and fault not in FIRST)]

ONLY_EXAMPLES = {
    "U1", "C2", "K6", *(f"M{number}" for number in range(1, 18)),
    *(f"J{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13)),
}  # fmt: skip
"""Causes that no operator plants: shape errors, what nothing explains, the way back (tests/compare/gradients), steps
of training (tests/compare/steps) and how a network begins (tests/compare/initial)."""


def called(fault):
    """An operator's name."""
    return f"{fault.code}-{fault.name}"


def planting(fault):
    """One of an operator's plantings: over all operators of the selection, of every host."""
    found = plan.spread(fault)
    return found[plan.FAULTS.index(fault) % len(found)]


def output(network, x, *, numpy):
    """What a network gives in float64; None where it raises."""
    torch.manual_seed(0)
    try:
        if numpy:
            return network.astype(np.float64)(x.astype(np.float64))
        with torch.no_grad():
            return network.double()(torch.from_numpy(x).double()).numpy()
    except Exception:
        return None


def told(found):
    """What was said, for the reader of a failure."""
    return "\n".join((found.id, *found.words, found.repaired))


def test_there_are_enough():
    """At least 400 plantings over at least 65 classes, each with a name of its own."""
    assert len(plan.plantings()) >= 400
    assert len({one.fault.code for one in plan.plantings()}) >= 65
    assert len({one.id for one in plan.everything()}) == len(plan.everything())


def test_the_selection_has_every_class_and_every_host():
    """What is tested below has each class at least once, and each network."""
    assert {fault.code for fault in CHOSEN} == {fault.code for fault in FAULTS}
    assert {planting(fault).host for fault in CHOSEN} == set(HOSTS)


def test_what_is_missed_is_planted():
    """Every known miss is the name of a planting, and says what is missed and why."""
    assert set(MISSES) <= {one.id for one in plan.plantings()}
    assert all(miss.reason and (miss.layers or miss.cause) for miss in MISSES.values())


def test_every_cause_is_planted_or_has_an_example():
    """Every code that a comparison can name is planted; of the rest the catalogue's own example names it."""
    seen = {code for code, cause in CAUSES.items() if not cause.unseen}
    planted = {fault.code for fault in FAULTS}

    assert seen - planted == ONLY_EXAMPLES
    for code in ONLY_EXAMPLES:
        assert f'"{code}" in found' in CAUSES[code].example or f'found.code == "{code}"' in CAUSES[code].example


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt:RuntimeWarning")
@pytest.mark.parametrize("fault", CHOSEN, ids=called)
def test_a_fault_is_found_and_explained(fault):
    """A fault is found at exactly its layers, its cause is confirmed and no wrong one; or it is a known miss."""
    one = planting(fault)
    found = judging.judged(one)
    miss = MISSES.get(one.id)

    assert found.detected, told(found)
    assert not found.wrong_cause, told(found)
    assert found.right_layer != (miss is not None and miss.layers), told(found)
    assert found.right_cause != (miss is not None and miss.cause), told(found)


@pytest.mark.parametrize("fault", EQUIVALENTS, ids=called)
def test_what_changes_nothing_is_no_fault(fault):
    """A change that changes nothing is never reported as different."""
    found = judging.judged(planting(fault), diagnose=False)

    assert not found.detected, told(found)


@pytest.mark.parametrize("number", range(0, pairs.COUNT, 7))
def test_two_faults_are_both_found(number):
    """Of two faults in one network both are found in one run, each with its cause, and nothing else."""
    found = judging.judged(*pairs.pair(number))

    assert found.right_layer, told(found)
    assert found.right_cause, told(found)


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt:RuntimeWarning")
@pytest.mark.parametrize("fault", [f for f in plan.FAULTS if f.code != "H3" and f.prepare is None][::4], ids=called)
def test_the_plantings_are_real(fault):
    """A fault changes what the network gives in float64 by far more than rounding, or makes it raise; else nothing is.

    H3 is left out: what it plants is a precision, and in float64 there is no difference.
    """
    one = planting(fault)
    side = expected_side(host(one.host).expected, fault.size, fault.batch)
    numpy = host(one.host).numpy
    want = output(correct(one.host), side.x, numpy=numpy)
    got = output(judging.planted(one), side.x, numpy=numpy)

    assert want is not None
    if fault.equivalent:
        assert np.abs(got - want).max() <= 1e-9 * np.abs(want).max()
    elif got is not None and got.shape == want.shape:
        assert not np.abs(got - want).max() <= 1e-8 * np.abs(want).max()


def test_a_wrong_answer_is_told_from_a_right_one():
    """The judgement of causes is no rubber stamp: another code, or the right one at another layer, is wrong."""
    ones = [one for one in plan.plantings() if one.fault.code == "C1" and one.place != "all"]
    others = {two.host: two for two in plan.plantings() if two.fault.code == "B1"}
    one, other = next((one, others[one.host]) for one in ones if one.host in others)
    right, network = judging.judged(one), judging.planted(one)
    side = expected_side(host(one.host).expected)
    report = judging.judge_foreign(side.trace, network, side.x, weights=side.weights)
    wrong = judging.outcome([other], report, 0.0)

    assert right.right_cause
    assert not right.wrong_cause
    assert wrong.wrong_cause
    assert not wrong.right_cause
    assert not wrong.right_layer
