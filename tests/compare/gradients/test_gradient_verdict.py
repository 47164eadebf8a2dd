"""From gradients to a verdict: what was not compared is never same, and blame goes to the end that it comes from."""

from __future__ import annotations

import pytest

from layerdiff.compare.gradient_verdict import settled_gradients
from layerdiff.compare.result import Gradient, GradientLayer, Gradients, Measure


def compared(probe, ratio, dtype="float64"):
    """One comparison that came to this part of its allowance."""
    return Gradient("input x", Measure(probe, dtype, 4, int(ratio > 1), ratio, ratio, (0,), 1.0, 1.0, 1.0))


def settled(*layers, dtypes=("float64",)):
    """Statuses, in order, and the verdict."""
    rows = tuple(GradientLayer(i, f"l{i}", f"l{i}", "relu", tuple(found)) for i, found in enumerate(layers))
    found = settled_gradients(Gradients("train", rows, dtypes), lambda measure: measure.ratio > 1)
    return [layer.status for layer in found.layers], found.verdict


ALONE, SENT = compared("activations", 0.5), compared("propagated", 0.5)
WRONG, WRONG_SENT = compared("activations", 2), compared("propagated", 2)


@pytest.mark.parametrize(
    ("layers", "statuses", "verdict"),
    [
        ([[ALONE, SENT]], ["same"], "same"),
        ([[ALONE]], ["unjudged"], "unknown"),
        ([[SENT]], ["unjudged"], "unknown"),
        ([[]], ["unjudged"], "unknown"),
        ([[ALONE, WRONG_SENT], [WRONG, SENT], [ALONE, SENT]], ["inherited", "fault", "same"], "different"),
        ([[ALONE, WRONG_SENT], [ALONE, WRONG_SENT]], ["inherited", "fault"], "different"),
        ([[ALONE, SENT, compared("dense", 2)]], ["same"], "same"),
    ],
    ids=["all", "not sent", "not alone", "nothing", "behind a fault", "nobody by itself", "dense only"],
)
def test_what_was_compared_decides(layers, statuses, verdict):
    """Same needs both comparisons; a wrong gradient that is sent back comes from the fault nearest to the end."""
    assert settled(*layers) == (statuses, verdict)


def test_in_float32_nothing_is_sent():
    """End to end only float64 is compared, so float32 alone does without; each precision must have been looked at."""
    alone = compared("activations", 0.5, "float32")

    assert settled([alone], dtypes=("float32",)) == (["same"], "same")
    assert settled([alone, SENT], dtypes=("float32", "float64")) == (["unjudged"], "unknown")


def test_no_layer_at_all_is_not_same():
    """An empty comparison is no agreement."""
    assert settled() == ([], "unknown")
