"""From measurements to a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from layerdiff.compare.result import LayerResult, Measure, Report, Run, exit_code
from layerdiff.compare.verdict import settle


def at(ratio, probe="activations", dtype="float32", **more):
    """A measure at some ratio of its allowance; None: over an allowance of zero."""
    over = 0 if ratio is not None and ratio <= 1 else 5
    return Measure(probe, dtype, 10, over, 1.0, ratio, (0,), 0.0, 1.0, 1.0, **more)


def layer(name, *inputs, measures=(), **more):
    """A layer that agrees, unless its measures say otherwise."""
    good = {m.probe: m for m in (at(0.3), at(0.2, "dense"), at(0.1, "propagated"))}
    measures = tuple((good | {m.probe: m for m in measures}).values())
    return LayerResult(0, name, more.pop("partner", name), "conv2d", (1,), inputs, measures=measures, **more)


def settled(*layers, scale=1.0, **more):
    """The settled report of these layers."""
    more.setdefault("dtypes", ("float32",))
    return settle(Report("expected", "actual", tuple(layers), **more), scale=scale)


def statuses(report):
    """Their statuses in order."""
    return [layer.status for layer in report.layers]


def test_all_within_is_same():
    """Where every measure is within its allowance, all layers and the verdict are same."""
    report = settled(layer("a", "input"), layer("b", "a"))

    assert (statuses(report), report.verdict) == (["same", "same"], "same")


def test_a_fault_is_inherited_by_what_takes_its_output_and_by_nothing_else():
    """Inheriting goes along the graph: a later layer on another branch stays same."""
    report = settled(
        layer("a", "input", measures=[at(7.0)]),
        layer("b", "a", measures=[at(99.0, "propagated")]),
        layer("c", "input"),
        layer("d", "b", "c"),
    )

    assert (statuses(report), report.verdict) == (["fault", "inherited", "same", "inherited"], "different")


def test_two_independent_faults_are_both_named():
    """A layer that is wrong by itself is at fault, though a fault lies before it."""
    report = settled(layer("a", "input", measures=[at(7.0)]), layer("b", "a", measures=[at(None)]))

    assert statuses(report) == ["fault", "fault"]


def test_a_difference_only_on_the_dense_probe_is_a_note():
    """What this network never meets leaves the verdict alone, and is said."""
    report = settled(layer("a", "input", measures=[at(None, "dense")]))

    assert report.verdict == "same"
    assert "differs on inputs this network never gives it" in report.layers[0].notes[0]


def test_a_wrong_weight_is_a_fault_wherever_it_hides():
    """The same difference with a parameter that is not the expected one is a fault."""
    report = settled(layer("a", "input", measures=[at(9.0, "dense")], parameters_differ=True))

    assert statuses(report) == ["fault"]
    assert report.layers[0].reason.startswith("a wrong parameter that this image does not show")


def test_drift_without_any_fault_is_a_fault():
    """A layer that agrees by itself and differs end to end, with nothing at fault before it, is at fault."""
    report = settled(layer("a", "input", measures=[at(3.0, "propagated")]))

    assert statuses(report) == ["fault"]
    assert report.layers[0].reason.startswith("agrees by itself, differs end to end")


@pytest.mark.parametrize(
    "result",
    [
        replace(layer("a", "input"), measures=()),
        replace(layer("a", "input"), measures=(at(0.1),)),
        layer("a", "input", measures=[at(0.1, nonfinite_expected=1, nonfinite_actual=1)]),
        layer("a", "input", measures=[at(0.1, "propagated", nonfinite_expected=1, nonfinite_actual=1)]),
    ],
    ids=["no measure", "not end to end", "not finite", "not finite end to end"],
)
def test_what_could_not_be_compared_is_never_same(result):
    """A layer without measures, or where the reference itself is not finite, makes the verdict unknown: exit 2."""
    report = settled(result)

    assert (statuses(report), report.verdict, exit_code(report.verdict)) == (["unjudged"], "unknown", 2)


def test_a_candidate_that_is_not_finite_is_at_fault():
    """NaN where the reference is finite is a fault, however small the other errors."""
    report = settled(layer("a", "input", measures=[at(0.0, nonfinite_actual=2)]))

    assert statuses(report) == ["fault"]
    assert report.layers[0].reason == "2 of 10 values are not finite in float32"


def test_missing_extra_and_crashed_are_different():
    """What has no partner on either side, and a forward that raised, is never same."""
    from layerdiff.compare.result import Extra

    missing = settled(layer("a", "input", partner=None), layer("b", "a"))
    extra = settled(layer("a", "input"), extra=(Extra("z", "relu"),))
    crashed = settled(layer("a", "input", partner=None), crash="its forward pass raised RuntimeError: no")

    assert statuses(missing) == ["missing", "inherited"]
    assert {missing.verdict, extra.verdict, crashed.verdict} == {"different"}


def test_no_layers_are_not_same():
    """An empty report is unknown, and so is a run without reports."""
    assert settled().verdict == "unknown"
    assert Run({}, ()).verdict == "unknown"
    assert Run({}, (settled(layer("a", "input")), settled())).verdict == "unknown"


def test_a_precision_that_was_asked_for_and_not_compared_is_not_same():
    """A layer that lacks a probe in one of the precisions is unjudged."""
    report = settled(layer("a", "input"), dtypes=("float32", "float64"))

    assert (statuses(report), report.verdict) == (["unjudged"], "unknown")


def test_what_is_wrong_with_the_output_is_different():
    """All layers right and the output wrong is different; an output that nobody compared is unknown."""
    assert settled(layer("a", "input"), output="its output differs").verdict == "different"
    assert settled(layer("a", "input"), output_known=False).verdict == "unknown"


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_scale_that_judges_nothing_is_refused(scale):
    """Allowances are multiplied by a finite number above 0, or not at all."""
    from layerdiff.errors import InputError

    with pytest.raises(InputError, match="scale: of no use"):
        settled(layer("a", "input"), scale=scale)


def test_a_problem_of_structure_is_a_fault_whatever_the_values_say():
    """Wiring, shape, dtype and a crash come before values."""
    report = settled(layer("a", "input", problems=("shape: got (1,), expected (2,)",)))

    assert report.layers[0].reason == "shape: got (1,), expected (2,)"
    assert report.verdict == "different"


def test_the_reason_tells_arithmetic_from_logic():
    """Over in float32 alone is the arithmetic; over in float64 alone is a fault too small for float32."""
    single = replace(layer("a", "input"), measures=(at(5.0), at(0.1, dtype="float64"), at(0.1, "propagated")))
    double = replace(layer("a", "input"), measures=(at(0.1), at(5.0, dtype="float64"), at(0.1, "propagated")))

    reasons = [settled(result).layers[0].reason for result in (single, double)]

    assert reasons[0].endswith("in float32; float64 agrees: the arithmetic, not the logic")
    assert reasons[1].endswith("in float64; too small for float32 to show")


def test_a_saved_report_is_judged_again_under_another_scale():
    """Settling again with other allowances needs no network, and can be undone."""
    strict = settled(layer("a", "input", measures=[at(0.6)]))

    looser, stricter = settle(strict, scale=10.0), settle(strict, scale=0.5)

    assert [strict.verdict, looser.verdict, stricter.verdict] == ["same", "same", "different"]
    assert settle(stricter) == strict
