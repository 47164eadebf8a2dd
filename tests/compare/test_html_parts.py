"""What the page is made of: stages, graphs, folds, charts, names of layers as parts of an address."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import replace
from xml.etree import ElementTree as Xml

import made_runs
import numpy as np
import pytest
from html_runs import RUNS, evidence, wrong_run
from PIL import Image

from layerdiff.command.repeat import command_words, with_command
from layerdiff.compare.evidence.records import Histogram, Operation
from layerdiff.compare.render.html.charts import depth_charts, histogram_chart, ribbon
from layerdiff.compare.render.html.colours import DIFFERENCE, VALUE
from layerdiff.compare.render.html.depth import panel
from layerdiff.compare.render.html.fragments import fragment, own
from layerdiff.compare.render.html.graph import graph
from layerdiff.compare.render.html.heat import channel_words, picture
from layerdiff.compare.render.html.rows import folds, rows
from layerdiff.compare.render.html.stages import stages
from layerdiff.compare.render.html.svg import trimmed
from layerdiff.compare.render.html.views import view
from layerdiff.compare.result import Report
from layerdiff.compare.verdict import settle


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        (["conv1", "bn1", "layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "avgpool", "fc"],
         {"stem": 2, "layer1": 2, "layer2": 1, "fc": 2}),
        (["features.0", "features.3", "classifier.1"], {"features": 2, "classifier": 1}),
        (["net.a.conv", "net.b.conv", "net.c.conv"], {"net.a": 1, "net.b": 1, "net.c": 1}),
        (["x"], {"stem": 1}),
        ([], {}),
    ],
    ids=["resnet", "two parts", "below one part", "one layer", "none"],
)  # fmt: skip
def test_stages_are_named_by_their_layers(layers, named):
    """Layers that follow one another in one part are a stage; all layers are in one."""
    found = stages(layers)

    assert {one.name: one.stop - one.start for one in found} == named
    assert [i for one in found for i in range(one.start, one.stop)] == list(range(len(layers)))


def test_a_layer_has_an_address_of_its_own():
    """No two layers of a run have one id, none has that of a part of the page, and none has a sign of HTML in it."""
    names = ["layer1.0.bn1", "2/layer1.0.bn1", "~1-answer", '"><b>', "a b", "a%20b", "\n\u202e\udc80"]
    found = [fragment(place, name) for place in (0, 1) for name in names]

    assert fragment(0, "layer1.0.bn1") == "layer1.0.bn1"
    assert fragment(1, "layer1.0.bn1") == "2/layer1.0.bn1"
    assert len({*found, own(0, "answer")}) == len(found) + 1
    assert all(one.isascii() and not set(one) & set("<>\"'& ~") for one in found)


def chain(kinds, skips=()):
    """A report on a chain of layers in one stage, with more inputs, and the candidate's graph beside it."""
    layers, operations = [], []
    for i, kind in enumerate(kinds):
        inputs = ["input" if i == 0 else f"net.{i - 1}", *(f"net.{start}" for start, stop in skips if stop == i)]
        layers.append(made_runs.layer(i, f"net.{i}", kind, (1, 8), tuple(inputs)))
        operations.append(Operation(f"m{i}", kind, tuple(x.replace("net.", "m") for x in inputs), f"net.{i}"))
    return settle(Report("e", "a", tuple(layers), dtypes=made_runs.DTYPES, operations=tuple(operations)))


def test_ways_around_are_brackets():
    """A way around leads from line to line; those that overlap stand in lanes of their own, on both sides."""
    report = chain(["conv2d"] * 8, skips=((0, 3), (1, 5), (4, 7)))
    (stage,) = graph(report, rows(report, 0))

    assert [(one.start, one.stop, one.lane) for one in stage.expected] == [(1, 4, 1), (2, 6, 2), (5, 8, 1)]
    assert stage.actual == stage.expected
    assert all(line.expected.joined for line in stage.lines[1:])
    assert all(not line.expected.takes for line in stage.lines)


def test_what_stands_for_nothing_has_a_line_of_its_own():
    """An operation without a partner stands behind the one before it; what is written in two has both in its line."""
    report = chain(["conv2d", "relu", "linear"])
    first, second, third = report.operations
    pad, spare = Operation("pad", "pad", ("input",), "net.0"), Operation("spare", "relu", ("m1",))
    (stage,) = graph(replace(report, operations=(pad, first, second, spare, third)), rows(report, 0))

    assert [[node.name for node in line.actual] for line in stage.lines] == [["pad", "m0"], ["m1"], ["spare"], ["m2"]]
    assert stage.lines[2].expected is None
    assert (stage.lines[2].actual[0].status, stage.lines[2].actual[0].link) == ("extra", "")
    assert (stage.wrong, stage.unpaired) == (0, 1)


def test_rows_that_say_the_same_are_folded():
    """Four rows or more of one status are one line; fewer, and what is wrong, stay."""
    report = RUNS["different"].reports[0]
    found = folds(rows(report, 0))

    assert [(len(one.rows), one.words) for one in found] == [
        (9, "9 layers same, at most 0.25 of their allowance"),
        (1, ""),
        (1, ""),
        (6, "6 layers inherit: by themselves they agree"),
    ]


def test_the_height_of_a_point_is_its_share_of_the_allowance():
    """In decades; exact zeros lie below the scale, and what no allowance bounds above it."""
    ratios = [0.0, 1e-9, 0.01, 1.0, 3e5, None]
    layers = tuple(made_runs.layer(i, f"l{i}", "conv2d", (1, 8), ("input",), ratio=r) for i, r in enumerate(ratios))

    found = panel(layers, "float32")

    heights = [one["y"] for one in found.points if one["probe"] == "activations"]
    assert heights == [found.bottom, -4, -2, 0, pytest.approx(math.log10(3e5), abs=1e-3), found.top]
    assert found.bottom < found.low == -4
    assert found.top > found.high == 6
    assert (found.zero, found.unbounded) == (True, True)
    assert panel(layers, "bfloat16") is None


def test_charts_are_small_and_lead_to_layers():
    """A cross for each layer at fault, which leads to it; figures of two digits; nothing where nothing was compared."""
    report = wrong_run(40, 3).reports[0]
    wide, narrow = depth_charts(report, [f"here-{i}" for i in range(40)])

    for chart in (wide, narrow):
        links = [one.get("href") for one in Xml.fromstring(chart).iter("{http://www.w3.org/2000/svg}a")]
        assert sorted(set(links)) == ["#here-0", "#here-1", "#here-2"]
        assert len(chart) < 60_000
    assert wide != narrow
    assert depth_charts(Report("e", "a", ()), []) == ("", "")
    assert ribbon(()) == ""
    assert histogram_chart(Histogram((), (), 5, 0)) == ""


def test_the_ribbon_has_a_piece_for_each_stretch():
    """Layers of one status in a row are one piece, as wide as they are many."""
    pieces = Xml.fromstring(ribbon(RUNS["different"].reports[0].layers)).iter("{http://www.w3.org/2000/svg}path")

    drawn = [one.get("d") for one in pieces if one.get("fill")]
    assert drawn == ["M0,0h9v10h-9Z", "M9,0h2v10h-2Z", "M11,0h6v10h-6Z"]


def test_a_link_out_of_the_page_is_none():
    """What a renderer makes of an address that is not the page's own is not taken over."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">'
        '<a xlink:href="https://elsewhere.example/#x" onclick="x()"><path d="M1.23456,2" style="fill:red"/></a></svg>'
    )

    found = trimmed(svg)

    assert "elsewhere" not in found
    assert "style" not in found
    assert "onclick" not in found
    assert "M1.23,2" in found


def test_a_map_is_drawn_in_its_colours():
    """A pixel for each cell: its byte, looked up among the colours of values or of differences."""
    one = evidence(3).maps[0]
    for side, palette in (("expected", VALUE), ("difference", DIFFERENCE)):
        data = base64.b64decode(picture(one, side).removeprefix("data:image/png;base64,"))
        found = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        cells = np.frombuffer(base64.b64decode(getattr(one, side)), np.uint8).reshape(one.rows, one.columns)
        assert np.array_equal(found, np.frombuffer(palette, np.uint8).reshape(256, 3)[cells])


def test_colours_of_maps_rise_in_lightness():
    """So that they can be told apart without colours, too."""
    for palette in (VALUE, DIFFERENCE):
        red, green, blue = np.frombuffer(palette, np.uint8).reshape(256, 3).T.astype(float)
        assert np.all(np.diff(0.2126 * red + 0.7152 * green + 0.0722 * blue) >= -1e-9)


def test_a_channel_has_words():
    """Which it is and how far out it lies."""
    one = evidence(0).maps[1]

    assert channel_words(one) == "channel 7 of image 0: 783 values beyond, at worst 1.5e+05 of the allowance"
    assert channel_words(replace(one, over=0)) == "channel 7 of image 0: all of it within the allowance"
    assert channel_words(replace(one, channel=None, over=1, ratio=None)) == (
        "all features of image 0: 1 value beyond, beyond what is allowed"
    )


def test_of_one_confirmed_cause_the_first_layer_stands_open():
    """A layer whose cause is told at another one, or that is the eleventh, is closed; one without a cause is open."""
    run = wrong_run(30, 15)
    (cause,) = run.reports[0].findings

    def open_ones(report):
        return [name for name, one in view(report, 0).evident.items() if one.open]

    names = [layer.layer for layer in run.reports[0].layers[:15]]
    assert open_ones(run.reports[0]) == names[:1]
    assert open_ones(replace(run.reports[0], findings=(replace(cause, layers=tuple(names[:3])),))) == [
        names[0], *names[3:12]
    ]  # fmt: skip
    assert open_ones(replace(run.reports[0], findings=(replace(cause, confirmed=False),))) == names[:10]


def test_what_the_explanation_says_is_no_cause_again():
    """A crash is explained once."""
    report = RUNS["crash"].reports[0]
    same = replace(made_runs.CAUSE, code="M1")

    assert [one.code for one in view(replace(report, findings=(same, made_runs.CAUSE)), 0).causes] == ["C1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "layerdiff run"),
        (["run", "--actual", "my net.py:f(x=1)", "--size", "64"],
         "layerdiff run --actual 'my net.py:f(x=1)' --size 64"),
        (["run", "--output", "a.json", "--format=json", "--all", "--seed", "3", "--format", "html", "--stat"],
         "layerdiff run --seed 3"),
        (["run", "--output"], "layerdiff run"),
    ],
    ids=["bare", "quoted", "looks", "cut short"],
)  # fmt: skip
def test_the_command_is_what_a_shell_takes(arguments, words):
    """Quoted as a shell wants it, without what only says how the run is shown and where it is kept."""
    assert command_words(arguments) == words
    assert with_command(RUNS["same"], arguments).environment == {**made_runs.ENVIRONMENT, "command": words}
