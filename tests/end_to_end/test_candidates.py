"""Anyone's network: every file of tests/candidates/ is judged as it is, with no option but the size of the picture."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import layerdiff

FOLDER = Path(__file__).parent.parent / "candidates"


def _catalogue():
    spec = importlib.util.spec_from_file_location("_candidates_catalogue", FOLDER / "catalogue.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.CANDIDATES


CANDIDATES = _catalogue()
RIGHT = [one for one in CANDIDATES if one.right]
WRONG = [one for one in CANDIDATES if not one.right]


def judged(one):
    """The run of one candidate, at 64x64 pixels where it takes that; what it is meant to be is left to be guessed.

    Causes are not looked for here: `tests/seeded_faults` and `tests/compare/diagnosis` do that.
    """
    size = (one.only_at or 64,) * 2
    run = layerdiff.run(f"{FOLDER / one.file}:{one.call}", size=size, weights="synthetic", diagnose=False)
    return run, run.reports[0]


def blamed(report):
    """The layers at fault, and those that are missing where the candidate got so far."""
    return {
        layer.layer
        for layer in report.layers
        if layer.status == "fault" or (layer.status == "missing" and layer.reason != "not reached")
    }


def test_the_corpus_is_large_enough():
    """At least 40 candidates, at least 25 of them right, of five depths and two widths."""
    assert len(RIGHT) >= 25
    assert len(CANDIDATES) >= 40
    assert len({one.expected for one in RIGHT}) == 7


@pytest.mark.parametrize("one", RIGHT, ids=lambda one: one.file)
def test_a_right_candidate_is_same(one):
    """A right network in somebody's style is same, every layer of it, and recognised for what it is."""
    run, report = judged(one)

    assert [f"{x.layer}: {x.reason}" for x in report.layers if x.status != "same"] == []
    assert (report.extra, report.output, report.doubts, report.crash) == ((), "", (), None)
    assert report.verdict == "same"
    assert run.environment["architecture"] == one.expected
    assert all(layer.measures for layer in report.layers)


@pytest.mark.parametrize("one", WRONG, ids=lambda one: one.file)
def test_a_wrong_candidate_is_different_where_it_is_wrong(one):
    """A wrong network is different at exactly the layers that are wrong, whatever else is written in its style."""
    _, report = judged(one)

    assert report.verdict == "different"
    if one.file == "ignores_its_input.py":
        # Nothing of it is made from the input, so nothing stands for anything.
        assert set(one.named) <= blamed(report)
        return
    assert blamed(report) <= set(one.named)
    assert set(one.extra_kinds) <= {extra.kind for extra in report.extra}
    if one.crash:
        # What lies behind the crash was not reached.
        assert report.crash
        assert blamed(report) or not one.named
        return
    assert set(one.layers) | set(one.missing) <= blamed(report)
    for group in one.one_of:
        assert blamed(report) & set(group), group
    assert one.named or report.extra or report.output
