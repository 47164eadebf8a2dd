"""What is kept of the hypotheses that a diagnosis tried."""

from __future__ import annotations

import math
from types import SimpleNamespace

from layerdiff.compare.diagnosis.explain_site import Cause, Search
from layerdiff.compare.diagnosis.survey import Seen, Survey
from layerdiff.compare.diagnosis.tries import distinct, graph_tries, value_tries
from layerdiff.compare.diagnosis.undo import Undone
from layerdiff.compare.evidence.records import Tried
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.pairs import Pair
from layerdiff.compare.trace import Op


def pair(*layers):
    """Operations that nobody runs."""
    return Pair(tuple(Op(name, name, "relu", (), {}, {}, (1,), "float32") for name in layers), ())


def guess(i, residual):
    """A hypothesis that was run."""
    return Hypothesis(f"C{i}", f"guess {i}", "", residual=residual)


def survey(*seen):
    """What was seen of some pairs."""
    return Survey(None, None, {one.pair.expected[-1].layer: one for one in seen})


def test_of_one_layer_the_causes_and_the_eight_nearest_are_kept():
    """What lies further off is left out; what does not fit at all has no number."""
    nearest = (*(guess(i, 2.0 + i) for i in range(7)), *(guess(i, math.inf) for i in range(7, 20)))
    search = Search((Cause(guess(90, None), Undone((), "so", 0.25)),), (), nearest)
    found = value_tries(survey(Seen(pair("conv1", "bn1"), 9.0, search), Seen(pair("relu"), 0.5)))

    assert found[0] == Tried("C90", "guess 90", ("conv1", "bn1"), 0.25, confirmed=True)
    assert [one.ratio for one in found[1:]] == [*(2.0 + i for i in range(7)), None]
    assert not any(one.confirmed for one in found[1:])


def test_what_was_tried_of_the_graph_says_what_it_left():
    """The worst of its layers, as they were then; nothing where the candidate could not be run."""
    one = SimpleNamespace(code="A6", title="two are exchanged", about=("a", "b"))
    after = survey(Seen(pair("a"), 3.0), Seen(pair("b"), 5.0), Seen(pair("c"), 70.0))

    assert graph_tries([one], after, confirmed=False) == [Tried("A6", "two are exchanged", ("a", "b"), 5.0, False)]
    assert graph_tries([one], None, confirmed=False)[0].ratio is None


def test_each_is_kept_once_and_the_confirmed_come_first():
    """Of what was tried twice the time that helped counts."""
    a, b = (Tried(code, code, ("x",), 9.0, confirmed=False) for code in "AB")
    yes = Tried("B", "B", ("x",), 0.0, confirmed=True)

    assert distinct([a, b, a, yes, b]) == (yes, a)
