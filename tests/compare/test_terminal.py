"""The report for a terminal."""

from __future__ import annotations

import re

import pytest

from layerdiff.compare.check import compare_networks
from layerdiff.compare.render.concise import render_concise
from layerdiff.compare.render.terminal import render_terminal
from layerdiff.compare.render.words import fold, number
from layerdiff.compare.result import LayerResult, Report, Run
from layerdiff.compare.verdict import settle


@pytest.fixture(scope="module")
def runs(_resnet, x):
    """A run in which all is same, and one with two faults."""
    import copy

    same, broken = copy.deepcopy(_resnet), copy.deepcopy(_resnet)
    broken.layer2[0].downsample[1].eps = 1e-3
    broken.layer4[0].conv1.stride = (1, 1)
    broken.layer4[0].conv2.stride = (2, 2)
    return (
        Run({}, (compare_networks(_resnet, same, x),), ("these are synthetic weights",)),
        Run({}, (compare_networks(_resnet, broken, x),)),
    )


def test_all_same_is_three_lines_and_the_answer_is_the_last(runs):
    """When all is same: what was expected, what was judged, the answer; notes come first."""
    lines = render_terminal(runs[0]).splitlines()

    assert lines[0] == "note: these are synthetic weights"
    assert lines[1:3] == ["expected  ResNet", "actual    ResNet"]
    assert re.fullmatch(r"same: 69 of 69 layers; the worst, \S+, is at 0\.00 of its allowance", lines[3])
    assert len(lines) == 4


def test_a_difference_names_the_layers_and_answers_last(runs):
    """When something differs: its neighbourhood, the layers at fault, their causes and proofs, and the answer last."""
    text = render_terminal(runs[1])

    assert re.search(r"^ *24 ✗ layer2\.0\.downsample\.1 +batch_norm", text, re.MULTILINE)
    assert re.search(r"^ *25 ↓ layer2\.0\.add", text, re.MULTILINE)
    assert "  evidence  eps: got 0.001, expected 1e-05" in text
    assert "C1 eps is 0.001, expected 1e-05 [confirmed]\nat        layer2.0.downsample.1\n" in text
    assert re.search(
        r"^(cause|differs)   +A2 .*\n(.*\n)?at        layer4\.0\.conv1, layer4\.0\.conv2$", text, re.MULTILINE
    )
    assert "proof     run again with eps=1e-05: agrees to the bit" in text
    assert "with all of them undone: every layer agrees, to the bit" in text
    assert "⋮ 23 layers same, at most 0.00 of their allowance" in text
    assert text.splitlines()[-1].startswith("different: 3 layers at fault, ")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_number_is_cut_and_no_row_too_long(runs, width):
    """At every width the table fits and every number is whole; shape, then op, give way."""
    text = render_terminal(runs[1], width=width, every_layer=True)
    table = [line for line in text.splitlines() if re.match(r"^ *(#|\d+) ", line)]

    assert len(table) == 70
    assert all(len(line) <= width for line in table)
    assert all(re.search(r"(\d|-|over)$", line) for line in table[1:])
    assert ("shape" in table[0]) == (width >= 120)


def test_ascii_has_no_other_signs(runs):
    """With `ascii_only` nothing beyond ASCII is printed, and the marks say the same."""
    text = render_terminal(runs[1], ascii_only=True)

    assert text.isascii()
    assert re.search(r"^ *24 x layer2\.0\.downsample\.1", text, re.MULTILINE)
    assert re.search(r"^ *25 v layer2\.0\.add", text, re.MULTILINE)


def test_every_layer_prints_every_layer(runs):
    """`--all` has a row for each of the 69 layers, also when all is same."""
    for run in runs:
        text = render_terminal(run, every_layer=True)
        assert len(re.findall(r"^ *\d+ [ ✗↓] ", text, re.MULTILINE)) == 69


def test_a_crash_is_the_answer():
    """A candidate whose forward raised is told in the answer, without a table of what was never reached."""
    layers = (LayerResult(0, "conv1", None, "conv2d", (1,), ("input",)),)
    report = settle(Report("a", "b", layers, crash="its forward pass raised RuntimeError: no"))

    lines = render_terminal(Run({}, (report,))).splitlines()

    assert lines[-1].startswith("different: its forward pass raised, 0 layers at fault, 1 not reached")
    assert "raised    its forward pass raised RuntimeError: no" in lines
    assert not any(line.lstrip().startswith("0 ") for line in lines)


def test_what_could_not_be_judged_is_said(x):
    """A layer of a kind without a rule makes the answer `could not tell`."""
    layers = (LayerResult(0, "act", "act", "gelu", (1,), ("input",)),)

    text = render_terminal(Run({}, (settle(Report("a", "b", layers)),)))

    assert "act: no allowance is known for gelu" in text
    assert text.splitlines()[-1] == "could not tell: 0 layers at fault, 0 inherit, 0 same, 1 could not be judged"


def test_another_bound_is_said(runs):
    """Allowances that were multiplied, and tolerances in their place, stand in the answer."""
    from dataclasses import replace

    report = runs[0].reports[0]
    scaled = Run({}, (settle(report, scale=1000.0),))
    bounded = Run({}, (replace(report, tolerance="rtol 0.1, atol 0"),))

    assert render_terminal(scaled).splitlines()[-1].startswith("same: 69 of 69 layers, allowances times 1000; ")
    assert render_terminal(bounded).splitlines()[-1].startswith("same: 69 of 69 layers, within rtol 0.1, atol 0; ")


def test_a_wrong_output_is_the_answer(runs):
    """All layers right and another output returned: the answer says so."""
    from dataclasses import replace

    report = replace(runs[0].reports[0], output="its output is that of bn1, expected that of fc")

    text = render_terminal(Run({}, (settle(report),)))

    assert text.splitlines()[-1] == (
        "different: its output is that of bn1, expected that of fc; by themselves 69 of 69 layers are same"
    )


def test_concise_is_one_line_a_finding(runs):
    """`--format concise` gives `file:line: layer: status: reason`, then the causes, then the answers."""
    lines = render_concise(runs[1]).splitlines()

    assert len(lines) == 6
    assert re.match(r"\S+\.py:\d+: layer2\.0\.downsample\.1: C1 eps is 0\.001, expected 1e-05$", lines[3])
    assert re.match(r"\S+\.py:\d+: layer2\.0\.downsample\.1: fault: ", lines[0])
    assert lines[-1].startswith("ResNet: different: 3 layers at fault")


def test_names_fold_in_the_middle():
    """A name too long keeps its two ends."""
    assert fold("layer4.2.downsample.1", 12) == "layer…mple.1"
    assert fold("conv1", 12) == "conv1"


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (None, "-"), (4.83e-7, "4.8e-07"), (12345.0, "1.2e+04")])
def test_numbers_are_written_one_way(value, text):
    """Two digits and an exponent, a plain 0, a dash for none."""
    assert number(value) == text
