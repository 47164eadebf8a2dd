"""Faults planted in correct networks are found, at exactly the right layers, and changes that change nothing are not."""

import sys
from functools import cache

import numpy as np
import pytest
import torch
from faults import judging, plan
from faults.hosts import correct, expected_side, host


@cache
def chosen():
    """A selection of plantings that has every class and every host: the first of each operator of small networks."""
    found, seen = [], set()
    for one in plan.plantings():
        cheap = "50" not in one.host and one.host != "resnext"
        if one.fault not in seen and (cheap or one.fault.code not in {f.code for f in seen}):
            seen.add(one.fault)
            found.append(one)
    return found


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


def test_there_are_enough():
    """At least 400 plantings over at least 65 classes, each with a name of its own."""
    assert len(plan.plantings()) >= 400
    assert len({one.fault.code for one in plan.plantings()}) >= 65
    assert len({one.id for one in plan.everything()}) == len(plan.everything())


def test_the_selection_covers_every_class():
    """What is tested has every class."""
    assert {one.fault.code for one in chosen()} == {one.fault.code for one in plan.plantings()}


@pytest.mark.parametrize("one", plan.equivalents()[::3], ids=lambda one: one.id)
def test_what_changes_nothing_is_same(one):
    """An equivalent change is never reported as a fault."""
    assert judging.judged(one, diagnose=False).verdict == "same"


@pytest.mark.parametrize("one", chosen(), ids=lambda one: one.id)
def test_a_fault_is_found_at_its_layers(one):
    """A planted fault makes the network different, at exactly the layers where it was planted."""
    found = judging.judged(one, diagnose=False)

    assert found.detected
    assert found.right_layer, (found.named, found.words)


@pytest.mark.parametrize("one", plan.everything()[::9], ids=lambda one: one.id)
def test_the_plantings_are_real(one):
    """A fault changes what the network gives in float64 by far more than rounding; an equivalent change does not."""
    side = expected_side(host(one.host).expected, one.fault.size, one.fault.batch)
    numpy = host(one.host).numpy
    want = output(correct(one.host), side.x, numpy=numpy)
    got = output(judging.planted(one), side.x, numpy=numpy)

    assert want is not None
    if one.fault.equivalent:
        assert np.abs(got - want).max() <= 1e-9 * np.abs(want).max()
    elif got is not None and got.shape == want.shape:
        assert not np.abs(got - want).max() <= 1e-8 * np.abs(want).max()


_ = sys
