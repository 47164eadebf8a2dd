"""The pytest plugin, in a session of its own: what passes, what fails, and what it says."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
import torch
from plugin_kit import OUTCOMES, PLUGIN, in_session
from torch import nn

from layerdiff.compare.saved import read_run
from layerdiff.errors import InputError
from layerdiff.testing.per_layer import Layers

LAYERS = ("conv1", "bn1", "relu", "layer3.0", "layer3.1", "layer3.2", "adaptive_avg_pool2d", "flatten", "fc")


def test_outcomes_are_those_of_the_comparisons(whole):
    """What is same passes, what differs fails, and nothing else does either."""
    outcomes = {name: outcome for name, (outcome, _) in whole.tests.items()}

    assert outcomes == {**OUTCOMES, "test_raises": "error"}
    assert whole.code == 1


def test_the_first_line_names_the_layer_and_the_cause(whole):
    """The first line stands alone; the whole message is six lines at most."""
    message = whole.tests["test_different"][1].splitlines()

    assert message[0] == "AssertionError: bn1: different: eps is 0.01, expected 1e-05 [C1]"
    assert re.fullmatch(
        r"196 of 196 values differ; at \[0, \d, \d, \d\] got -?[\d.]+, expected -?[\d.]+, allowed \S+ \(float32\)",
        message[1],
    )
    assert message[2:4] == ["note: of 9 layers 2 at fault, 6 only inherit, 1 are same", "note: also layer3.1"]
    assert re.fullmatch(r"help: set eps=1e-05 \(\S+test_net\.py:\d+\)", message[4])
    assert re.fullmatch(r"help: the whole report is file://\S+/report\.html", message[5])
    assert len(message) == 6
    assert all(len(text.splitlines()) <= 6 for _, text in whole.tests.values())


def test_the_summary_of_pytest_shows_layer_and_verdict(whole):
    """In the line that pytest cuts to the terminal's width the layer and the verdict are to be read."""
    assert re.search(r"^FAILED test_net\.py::test_different - AssertionError: bn1: different: eps", whole.stdout, re.M)


def test_no_frame_of_ours_is_shown(whole):
    """A traceback ends at the line of the test; also where what was given cannot be used."""
    shown = whole.stdout.partition("layerdiff ====")[0]

    assert not re.search(r"^\S*(package|layerdiff)/\S+:\d+:", shown, re.M)
    assert re.search(r"^test_net\.py:\d+: AssertionError$", shown, re.M)
    assert re.search(r"^test_net\.py:\d+: InputError$", shown, re.M)
    assert "E       layerdiff.errors.InputError: input: wrong dtype, got float64, expected float32\n" in shown
    assert "E       help: float64 is judged too, from the same float32 input\n" in shown


def test_traces_that_are_apart_name_the_first_layer(whole):
    """Within the tolerance they are close; beyond it the first line says where."""
    message = whole.tests["test_traces"][1].splitlines()

    assert message[0] == "AssertionError: bn1: different: 196 of 196 values differ (100.0%) in float32"
    assert message[1].endswith("allowed 1.0e-06 (float32)")
    assert message[2] == "note: of 9 layers 1 at fault, 7 only inherit, 1 are same"


def test_there_is_a_named_result_for_each_layer(whole):
    """One decorator, nine layers, nine results: what is at fault fails, what inherits is skipped, what is known too."""
    results = {name[len("test_layers[") : -1]: found for name, found in whole.tests.items() if "test_layers[" in name}

    assert tuple(results) == LAYERS
    assert results["layer3.1"][1].splitlines()[0] == "Failed: layer3.1: different: eps is 0.01, expected 1e-05 [C1]"
    assert results["bn1"] == ("skipped", "known difference: ours, and meant")
    inherited = ("skipped", "inherits: only what it is given differs")
    assert [results[layer] for layer in ("relu", "layer3.0", "layer3.2", "fc")] == [inherited] * 4


def test_the_networks_run_once_and_not_while_tests_are_collected(whole):
    """Ids come from a pass on meta tensors; expected and actual are made once and compared once for all layers."""
    assert whole.log == [
        "expected made", "expected runs on meta", "collected", "actual made", "expected runs on cpu",
    ]  # fmt: skip


def test_a_network_that_cannot_be_built_is_told_once_in_full(whole):
    """The first layer's test has the error and its traceback, the others a line."""
    assert whole.tests["test_unbuilt[conv1]"][1].startswith("RuntimeError: this network cannot be built\n")
    assert whole.tests["test_unbuilt[bn1]"][1] == (
        "Failed: bn1: not compared: RuntimeError: this network cannot be built"
    )


def test_known_differences_pass_and_stale_ones_fail(whole):
    """A listed difference is accepted; a listed one that is none fails its test, or that layer's test."""
    words = "it is listed as a known difference, and is none (known.toml: entry"

    assert "known differences that were accepted: 2\n" in whole.stdout
    assert whole.tests["test_stale"][1] == f"Failed: bn1: stale: {words} 2)\nhelp: take the entry out"
    assert whole.tests["test_layers[conv1]"][1] == f"Failed: conv1: stale: {words} 4)\nhelp: take the entry out"
    assert "stale: known.toml: entry 5: no such test, got test_net.py::test_gone\n" in whole.stdout
    assert "test_elsewhere" not in whole.stdout


def test_the_summary_lists_layers_and_reports(whole):
    """One line for each test that failed in a comparison, the layers and codes, and links that lead to files."""
    summary = whole.stdout.partition(" layerdiff ====")[2].partition("short test summary")[0]

    assert "\ntest_net.py::test_different: bn1 C1, layer3.1 C1\n" in summary
    assert "\ntest_net.py::test_layers[layer3.1]: layer3.1 C1\n" in summary
    assert "test_fixture" not in summary.partition("report:")[0]
    links = re.findall(r"^report: file://(\S+)$", summary, re.M)
    assert len(links) == 4
    for link in links:
        folder = whole.folder / "reports" / link.split("/")[-2]
        assert (folder / link.split("/")[-1]).read_text().startswith("<!doctype html>")


def test_reports_are_kept_of_comparisons_that_fail(whole):
    """Each has a folder, with the run as JSON that any form can be made of; one that passed has none."""
    folders = {path.name.rpartition("-")[0]: path for path in (whole.folder / "reports").iterdir()}

    names = ("different", "hostile", "fixture", "traces", "layers")
    assert set(folders) == {f"test_net.py_test_{name}" for name in names}
    assert sorted(path.name for path in folders["test_net.py_test_layers"].iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]
    run = read_run(folders["test_net.py_test_layers"] / "report.json")
    assert run.verdict == "different"
    assert run.environment["test"] == "test_net.py::test_layers"
    assert [path.name for path in folders["test_net.py_test_traces"].glob("*.json")] == ["report_2.json"]


def test_no_name_steers_the_terminal(whole):
    """A layer's name with an escape and a newline in it is spelled out, in the message and in the summary."""
    assert "\x1b" not in whole.stdout
    assert "E       note: also \\x1b[31m\\n::error::x.1\n" in whole.stdout
    assert "test_hostile: bn1 C1, \\x1b[31m\\n::error::x.1 C1\n" in whole.stdout


def test_last_failed_the_first_and_a_part_of_the_layers(whole, tmp_path):
    """`--lf`, `-x` and `-k` see each layer as a test; what was not looked for is not stale, and old reports go."""
    folder = tmp_path / "again"
    shutil.copytree(whole.folder, folder)
    found = in_session(
        folder, *PLUGIN, "test_net.py", "--lf", "-x", "-k", "test_layers and (conv1 or layer3)",
        "--layerdiff-report", "reports", "--layerdiff-keep", "none",
    )  # fmt: skip

    assert list(found.tests) == ["test_layers[conv1]"]
    assert "stopping after 1 failures" in found.stdout
    assert re.search(r"collected \d+ items / \d+ deselected / 2 selected", found.stdout)
    assert "test_gone" not in found.stdout
    assert "report:" not in found.stdout
    assert not list((folder / "reports").glob("*test_layers*"))
    assert list((folder / "reports").glob("*test_different*"))


UNUSED = """
import sys

def test_nothing():
    heavy = [name for name in sys.modules if name.split(".")[0] in {"torch", "numpy", "rich", "msgspec"}]
    ours = sorted(name for name in sys.modules if name.startswith("layerdiff"))
    assert heavy == []
    assert ours == [
        "layerdiff", "layerdiff.errors", "layerdiff.pytest_plugin", "layerdiff.testing", "layerdiff.testing.recording"
    ]
"""


def test_unused_it_costs_nothing(pytester):
    """A session that compares nothing imports a few small files of ours, and neither torch nor NumPy."""
    pytester.makepyfile(UNUSED)

    # Other plugins that are installed here may import what they like.
    result = pytester.runpytest_subprocess(*PLUGIN, "-p", "no:xdist", "-p", "no:hypothesispytest")

    result.assert_outcomes(passed=1)
    assert "layerdiff ===" not in result.stdout.str()


def test_what_it_takes_is_told_by_help(pytester):
    """`pytest --help` lists the options."""
    text = pytester.runpytest_subprocess(*PLUGIN, "--help").stdout.str()

    assert all(f"--layerdiff-{name}" in text for name in ("report=DIR", "keep={failed,all,none}", "known=FILE"))
    assert "layerdiff_known" in text


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (None, ["known.toml: cannot be read, got No such file or directory, expected known differences"]),
        ("a = ", ["known.toml: not TOML, got *"]),
        ("other = 1", ["known.toml: not a list of known differences, got other, expected *"]),
        ("known = 1", ["known.toml: not a list of known differences, got int, expected *"]),
        (
            '[[known]]\ntest = "a"\n[[known]]\nlayer = "b"\nwhy = "c"\n',
            ["known.toml: entry 1: expected text, got none for layer, reason",
             "note: entry 2: no such key, got why, expected test, layer, reason, code", "help: *"],
        ),
        (
            '[[known]]\ntest = "a"\nlayer = "b"\nreason = "c"\n' * 2,
            ["known.toml: there twice, got b of a in known.toml: entry 1 and known.toml: entry 2"],
        ),
    ],
    ids=["no file", "no TOML", "another key", "no list", "entries", "twice"],
)  # fmt: skip
def test_known_differences_that_cannot_be_used_are_refused(pytester, content, lines):
    """All problems at once, in lines, before anything runs; exit code 4 is pytest's for usage."""
    if content is not None:
        pytester.makefile(".toml", known=content)

    result = pytester.runpytest_subprocess(*PLUGIN, "--layerdiff-known", "known.toml")

    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*{lines[0]}", *lines[1:]])
    assert "Traceback" not in result.stderr.str()


def test_an_entry_of_a_test_that_is_gone_fails_a_session_that_passed(pytester):
    """Not where only some tests were looked for, nor for a file that was not."""
    pytester.makepyfile(test_here="def test_one(): pass\ndef test_two(): pass\n")
    pytester.makefile(".toml", known='[[known]]\ntest = "test_here.py::test_gone"\nlayer = "b"\nreason = "c"\n')
    options = (*PLUGIN, "--layerdiff-known", "known.toml")

    whole, part = (pytester.runpytest_subprocess(*options, *more) for more in ((), ("test_here.py::test_one",)))

    assert whole.ret == 1
    whole.stdout.fnmatch_lines(["stale: known.toml: entry 1: no such test, got test_here.py::test_gone"])
    whole.assert_outcomes(passed=2)
    assert part.ret == 0


def test_a_reference_that_raises_is_a_collection_error_in_a_line(whole):
    """What `each_layer` cannot look at is said where tests are collected, without a traceback of ours."""
    error = whole.stdout.partition("ERROR collecting test_raises.py")[2].splitlines()

    assert error[1:3] == [
        "each_layer: the expected network raises, got RuntimeError in conv1: Given groups=1, weight of size "
        "[4, 4, 3, 3], expected input[1, 3, 9, 9] to have 4 channels, but got 3 channels instead",
        "=================================== FAILURES ===================================",
    ]


def test_what_is_no_input_is_refused_where_tests_are_collected():
    """An input that no image network takes, and a part that is not there, are told before anything runs."""
    with pytest.raises(InputError, match=r"input: wrong shape, got \(3, 9, 9\), expected \(n, c, h, w\)"):
        _ = Layers(nn.ReLU(), np.ones((3, 9, 9), np.float32), {}).ids
    with pytest.raises(InputError, match="until: no such layer, got 'layer9'"):
        _ = Layers(nn.ReLU, np.ones((1, 3, 9, 9), np.float32), {"until": "layer9"}).ids


def test_a_reference_that_looks_at_values_is_refused():
    """Where the layers depend on values, names that were collected would be of no use: that is said."""
    layers = Layers(Moody(), np.ones((1, 3, 9, 9), np.float32), {})

    with pytest.raises(InputError, match="runs other layers than it did when tests were collected, got"):
        layers.check("relu", Moody)


class Moody(nn.Module):
    """Does something else for an input of zeros."""

    def forward(self, x):
        """As it likes."""
        x = torch.relu(x)
        return torch.sigmoid(x) if bool((x == 0).all()) else torch.tanh(x)
