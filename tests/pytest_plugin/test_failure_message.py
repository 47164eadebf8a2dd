"""From a report to what a test fails for, and what it says then."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import made_runs
import numpy as np
import pytest
from made_runs import made

from layerdiff import pytest_plugin, testing
from layerdiff.errors import InputError
from layerdiff.testing.assertions import as_input, conclude
from layerdiff.testing.differences import differences
from layerdiff.testing.files import cleared, folder_of, written
from layerdiff.testing.known import Known
from layerdiff.testing.message import failure
from layerdiff.testing.recording import Recorder, current, recording

REPORTS = {f"{name} {i}": report for name, run in made_runs.runs().items() for i, report in enumerate(run.reports)}
DIFFERENT = REPORTS["different 0"]


def places(report):
    """Where a report differs, and whether that is known."""
    return [(one.place, one.judged) for one in differences(report)]


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_there_is_a_difference_exactly_where_it_is_not_same(report):
    """No test passes for a network that is not `same`, whatever makes it so; the first line names a place."""
    found = differences(report)

    assert bool(found) == (report.verdict != "same")
    if found:
        first = failure(report, found).splitlines()[0]
        assert first.startswith(
            ("forward pass: different: ", "input: different: ", *(f"{one.place}: " for one in found))
        )


def test_every_kind_of_difference_has_a_place():
    """Layers by their ids; what belongs to no layer has a word of its own."""
    assert places(DIFFERENT) == [("layer2.0.downsample.1", True), ("layer2.0.conv2", True), ("relu_9", True)]
    assert places(REPORTS["several 0"]) == [("backward layer1.0.conv1", True)]
    assert places(REPORTS["several 1"]) == [("output", False), ("weights", False)]
    assert places(REPORTS["several 2"]) == [("layer2.0.downsample.1", True), ("output", True)]
    assert places(REPORTS["several 3"]) == [("training fc.weight", True), ("training fc.weight.momentum_buffer", True)]
    assert places(REPORTS["several 4"]) == [("input", True)]
    assert places(REPORTS["crash 0"]) == [("forward pass", True)]
    assert places(made(layers=made_runs.clean(), blind=True)) == [("network", False)]
    assert places(made(layers=())) == [("network", False)]
    unjudged = replace(made_runs.layers()[0], measures=())
    assert places(made(layers=(unjudged,))) == [("layer1.0.conv1", False)]


def test_the_message_is_the_finding_in_six_lines():
    """What is wrong and why, a figure, the neighbours, the others, what to change and where the report is."""
    assert failure(DIFFERENT, differences(DIFFERENT), "file:///there/report.md").splitlines() == [
        "layer2.0.downsample.1: different: eps is 0.001, expected 1e-05 [C1]",
        "998 of 1,000 values differ; at [0, 3, 4, 9] got 5.481, expected 1.731, allowed 1.3e-05 (float32)",
        "note: of 17 layers 2 at fault, 6 only inherit, 9 are same",
        "note: also layer2.0.conv2, relu_9",
        "help: give the batch norm eps=1e-05 (/home/someone/net.py:58)",
        "help: the whole report is file:///there/report.md",
    ]


def test_without_a_cause_the_first_line_has_the_reason():
    """Where no cause is known the place in the code is named; values that are not finite are said in words."""
    (_, nan, _) = differences(DIFFERENT)

    assert failure(DIFFERENT, [nan]).splitlines() == [
        "layer2.0.conv2: different: 7 of 1,000 values are not finite in float32",
        "at [0, 3, 4, 9] got a non-finite value, expected 1.731, allowed 0 (float32)",
        "note: of 17 layers 2 at fault, 6 only inherit, 9 are same",
        "note: its code is at /home/someone/net.py:61",
    ]


def test_what_nobody_could_tell_comes_behind_what_is_different():
    """`could not tell` is in the first line only where nothing is known to be different."""
    report = made(layers=made_runs.clean(), doubts=("fc.weight fits two places",), output_known=False)

    assert failure(report, differences(report)).splitlines()[0] == (
        "output: could not tell: what it returns could not be compared"
    )
    found = (*differences(report), *differences(REPORTS["crash 0"]))
    assert failure(report, found).splitlines()[0].startswith("forward pass: different: ")


def test_known_differences_are_accepted_by_place_and_code():
    """An entry with a code accepts only a difference that has it, and is noted as met only then."""
    first, second, _ = differences(DIFFERENT)
    right, wrong = (Known("t", "layer2.0.downsample.1", "why", code, "known.toml: entry 1") for code in ("C1", "C2"))
    recorder = Recorder(known=(wrong, right))

    assert recorder.accepts(first) is right
    assert recorder.accepts(second) is None
    assert recorder.used == {right}


def test_a_comparison_fails_unless_all_of_it_is_known():
    """Two of three differences that are known are not enough; the message names the third."""
    entries = [Known("t", one.place, "why", "", "k") for one in differences(DIFFERENT)]
    for known, message in ((entries[:2], r"\Arelu_9: different: "), (entries[1:], r"\Alayer2\.0\.downsample\.1: ")):
        with recording(Recorder(known=known)), pytest.raises(AssertionError, match=message):
            conclude(DIFFERENT)

    with recording(Recorder(known=entries)) as recorder:
        conclude(DIFFERENT)
    assert recorder.rows == []
    assert current().known == ()


@pytest.mark.parametrize(("keep", "kept"), [("failed", [True, False]), ("all", [True, True]), ("none", [False, False])])
def test_reports_are_kept_as_the_session_wants_it(tmp_path, keep, kept):
    """Of comparisons that fail, of all, or of none; each test has a folder of its own, the second report a number."""
    for name, report in (("fails", DIFFERENT), ("passes", REPORTS["same 0"])):
        recorder = Recorder(name, folder=tmp_path, keep=keep)
        links = [recorder.filed(report, failed=name == "fails") for _ in range(2)]
        files = sorted(path.name for path in folder_of(tmp_path, name).glob("*"))

        assert bool(files) == kept[name == "passes"]
        if files:
            endings = ("html", "json", "md")
            assert files == [f"{name}.{ending}" for name in ("report", "report_2") for ending in endings]
            assert [link.rpartition("/")[2] for link in links] == ["report.html", "report_2.html"]
        else:
            assert links == ["", ""]


def test_a_report_that_cannot_be_written_hides_no_failure(tmp_path):
    """The message says both; where nothing else failed, that the report is lacking is the error."""
    (tmp_path / "file").write_text("in the way")
    lost = (
        r"its report was not written: \S+file\S+: cannot be made, got Not a directory, expected a folder for reports\Z"
    )

    with recording(Recorder("t", folder=tmp_path / "file")), pytest.raises(AssertionError, match=lost):
        conclude(DIFFERENT)
    with (
        recording(Recorder("t", folder=tmp_path / "file", keep="all")),
        pytest.raises(InputError, match="cannot be made, got Not a directory"),
    ):
        conclude(REPORTS["same 0"])


def test_an_interrupt_leaves_no_half_of_a_report(tmp_path, monkeypatch):
    """Ctrl-C while a report is written: no part of it is there."""

    def interrupt(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupt)

    with pytest.raises(KeyboardInterrupt):
        written(DIFFERENT, tmp_path, "t", 1)
    assert list(folder_of(tmp_path, "t").iterdir()) == []


def test_folders_have_names_that_every_file_system_takes(tmp_path):
    """Whatever a test is called; two tests never share one."""
    names = ["test_a.py::t[a/b]", "test_a.py::t[a_b]", "../../x", "\x1b\n\u202e", "x" * 300 + "\udc80", ""]
    folders = [folder_of(tmp_path, name) for name in names]

    assert len(set(folders)) == len(names)
    assert all(folder.parent == tmp_path and len(folder.name.encode()) < 100 for folder in folders)
    assert all(set(folder.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-") for folder in folders)


def test_only_our_own_files_are_cleared(tmp_path):
    """What an earlier session left goes; somebody's own file beside it stays, and so does the folder then."""
    home = folder_of(tmp_path, "t")
    written(DIFFERENT, tmp_path, "t", 1)
    written(DIFFERENT, tmp_path, "t", 2)
    (home / "report.txt").write_text("mine")

    cleared(tmp_path, "t")
    assert [path.name for path in home.iterdir()] == ["report.txt"]

    (home / "report.txt").unlink()
    cleared(tmp_path, "t")
    assert not home.exists()


@pytest.mark.parametrize(
    ("nodeid", "identifier", "expected"),
    [
        ("a.py::t", None, ("a.py::t", None)),
        ("a.py::t[3]", "3", ("a.py::t[3]", None)),
        ("a.py::t[fc]", "fc", ("a.py::t", "fc")),
        ("a.py::t[fc-numpy]", "fc-numpy", ("a.py::t[numpy]", "fc")),
        ("a.py::t[numpy-fc]", "numpy-fc", ("a.py::t[numpy]", "fc")),
    ],
)
def test_a_test_is_known_by_its_name_without_the_layer(nodeid, identifier, expected):
    """Other parameters stay: a comparison is made for each of them."""
    params = {"layerdiff_layer": "fc"} if "fc" in nodeid else {"depth": 3}
    callspec = None if identifier is None else SimpleNamespace(id=identifier, params=params)
    item = SimpleNamespace(nodeid=nodeid, callspec=callspec)

    assert pytest_plugin._named(item) == expected


def test_an_input_may_be_a_tensor_of_any_layout():
    """What torch holds is taken as an array; an array is not copied."""
    import torch

    x = np.ones((1, 3, 4, 5), np.float32)

    assert as_input(x) is x
    assert np.array_equal(as_input(torch.from_numpy(x).requires_grad_()), x)
    assert as_input(torch.from_numpy(x).to(memory_format=torch.channels_last)).flags.c_contiguous
    assert as_input([1]) == [1]


def test_the_names_for_tests_are_there():
    """What the page says can be imported is, and nothing else is promised."""
    assert dir(testing) == sorted(testing.__all__)
    assert all(callable(getattr(testing, name)) for name in testing.__all__)
    with pytest.raises(AttributeError, match=r"module 'layerdiff\.testing' has no attribute 'nonsense'"):
        testing.nonsense  # noqa: B018
