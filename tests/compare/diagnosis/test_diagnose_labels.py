"""Classes in another order are recognised from the logits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from layerdiff.compare.hypotheses.labels import class_order, hypotheses
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.trace import Op

RNG = np.random.default_rng(4)
WEIGHT, BIAS = RNG.normal(0, 0.4, (10, 6)).astype(np.float32), RNG.normal(0, 1, 10).astype(np.float32)


def site(weight, bias, *, batch=2):
    """A linear layer beside one with other rows."""
    op = Op("fc", "fc", "linear", ("flatten",), {}, {"weight": WEIGHT, "bias": BIAS}, (batch, 10), "float32")
    samples = []
    for _ in range(2):
        x = RNG.normal(0.2, 1.5, (batch, 6))
        samples.append(Sample((x,), x @ WEIGHT.astype(float).T + BIAS, x @ weight.astype(float).T + bias))
    return Site(op, (replace(op, parameters={"weight": weight, "bias": bias}),), *samples)


def explaining(found):
    """What explains it."""
    return [
        one for one in (tried(h, found) for h in hypotheses(found)) if one.residual is not None and one.residual <= 1
    ]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (np.roll(np.arange(10), -1), "class i is the expected class i + 1, all the way round"),
        (np.roll(np.arange(10), 1), "class i is the expected class i - 1, all the way round"),
        (np.array([0, 1, 3, 2, *range(4, 10)]), "2 of 10 are elsewhere; 2 is the expected 3, 3 is the expected 2"),
        (np.random.default_rng(0).permutation(10), "are elsewhere"),
    ],
    ids=["one on", "one back", "two", "any"],
)
def test_the_order_of_classes_is_solved(order, words):
    """Rows of the last layer in another order are I8, with the order, also of one sample alone."""
    for batch in (1, 3):
        (found,) = explaining(site(WEIGHT[order], BIAS[order], batch=batch))

        assert found.code == "I8"
        assert words in found.title


def test_a_background_class_is_found():
    """One class more in front shifts every label by one; behind, it shifts none."""
    more = RNG.normal(0, 1, (1, 6)).astype(np.float32)
    (front,) = explaining(site(np.concatenate([more, WEIGHT]), np.insert(BIAS, 0, 0.5)))
    (behind,) = explaining(site(np.concatenate([WEIGHT, more]), np.append(BIAS, np.float32(0.5))))

    assert front.title == "there is one class more in front of the expected 10, so every label is one off"
    assert behind.title == "there is one class more behind the expected 10"


def test_another_layer_is_no_order():
    """Logits that are no permutation of the expected ones are explained by none; equal ones give none."""
    assert explaining(site(WEIGHT * np.float32(1.01), BIAS)) == []
    assert list(hypotheses(site(WEIGHT, BIAS))) == []
    assert class_order(np.zeros((1, 3)), np.zeros((1, 4))) is None
