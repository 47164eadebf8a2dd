"""The one command behind the classroom's page: what it runs and records, and that the record keeps its promises."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BESIDES = {"example_kit.py"}


@pytest.fixture
def classroom(monkeypatch):
    """The command's module."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import classroom

    return classroom


@pytest.fixture
def page(classroom, monkeypatch, tmp_path):
    """A page of its own for it to write."""
    for module in (classroom, sys.modules["pages"]):
        monkeypatch.setattr(module, "DOCS", tmp_path)
    marks = "".join(f"<!-- {run.name}: begin -->\n<!-- {run.name}: end -->\n" for run in classroom.RUNS)
    (tmp_path / "classroom.md").write_text(marks)
    return tmp_path


def test_every_example_is_run(classroom):
    """Every file in examples/ is in the list, and every file in the list is there."""
    listed = {run.script for run in classroom.RUNS}
    assert listed == {path.name for path in (ROOT / "examples").glob("*.py")} - BESIDES


def test_the_record_keeps_the_promises(classroom):
    """Every run is recorded in docs/measured/classroom.json, with date and seconds, and reached what it promises."""
    runs = json.loads((ROOT / "docs" / "measured" / "classroom.json").read_text())["runs"]
    assert list(runs) == [run.name for run in classroom.RUNS]
    for run in classroom.RUNS:
        assert not classroom.missed(run, runs[run.name]["figures"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", runs[run.name]["date"])
        assert runs[run.name]["seconds"] > 0


def test_the_promises_are_the_published_figures(classroom):
    """LeNet-5 on MNIST: 0.87 and 0.975 as medians; ResNet-18: 0.88, and less plain; hand signs: 0.95; every edge."""
    promised = {run.name: dict(run.at_least) for run in classroom.RUNS}
    assert promised["LeNet-5 on MNIST"] == {"accuracy/1000/median": 0.87, "accuracy/8000/median": 0.975}
    assert promised["ResNet-18 on MNIST"] == {
        "accuracy/with shortcuts/median": 0.88,
        "lead of the medians in points": 0.5,
    }
    assert set(promised["edge detection"].values()) == {65_536}
    assert promised["hand signs on photos"] == {
        "test accuracy": 0.95,
        "twins/the NumPy twin against the trained network/same layers": 175,
    }


def test_the_page_shows_the_record(classroom):
    """Each run's part of the page has its command and its date, and what the page links to is there."""
    text = (ROOT / "docs" / "classroom.md").read_text()
    runs = json.loads((ROOT / "docs" / "measured" / "classroom.json").read_text())["runs"]
    for name, found in runs.items():
        part = text.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]
        assert f"`{found['command']}`" in part
        assert f"{found['date']}, {found['seconds']:g} s" in part
    for place in re.findall(r"\]\(([^)]*)\)", text):
        assert (ROOT / "docs" / place).exists(), place


def test_a_run_is_recorded(classroom, page, monkeypatch, capsys):
    """The command runs an example in a process of its own and writes what it printed, its figures, date and seconds."""
    monkeypatch.setattr(sys, "argv", ["classroom.py", "--only", "shapes"])
    with pytest.raises(SystemExit) as ended:
        classroom.main()
    assert ended.value.code == 0
    assert "each [20, 28, 44, 52]" in capsys.readouterr().out
    written = (page / "classroom.md").read_text()
    assert "`python examples/patch_exercises.py`\n\n```text\nPadding" in written
    found = json.loads((page / "measured" / "classroom.json").read_text())["runs"]
    assert list(found) == ["shapes and counts"]
    assert found["shapes and counts"]["figures"]["shapes"]["valid"]["patches"] == [27, 900]


def test_what_fails_or_misses_ends_with_words(classroom, page, monkeypatch):
    """An example that fails and one that misses its promise are both named at the end, and the exit code is 1."""
    runs = (
        classroom.Run("edge detection", "edge_detection.py", ("--photo", "/none.png")),
        classroom.Run("shapes and counts", "patch_exercises.py", at_least={"shapes/same/parameters": 449}),
    )
    monkeypatch.setattr(classroom, "RUNS", runs)
    monkeypatch.setattr(sys, "argv", ["classroom.py"])
    with pytest.raises(SystemExit) as ended:
        classroom.main()
    assert ended.value.code == (
        "edge detection: it failed\nshapes and counts: shapes/same/parameters is 448, less than 449"
    )


def test_without_real_data_its_runs_are_left_out(classroom, page, monkeypatch, capsys):
    """It says so, and goes on; a folder of this machine is called by the variable that names it."""
    monkeypatch.delenv("LAYERDIFF_SHARED", raising=False)
    monkeypatch.setattr(sys, "argv", ["classroom.py", "--only", "LeNet-5 on MNIST"])
    with pytest.raises(SystemExit) as ended:
        classroom.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == "LeNet-5 on MNIST: left out, since LAYERDIFF_SHARED is not set\n"
    assert classroom._nameless("MNIST in /mine/data", "/mine") == "MNIST in $LAYERDIFF_SHARED/data"


def test_a_run_that_is_not_there_is_refused(classroom, monkeypatch):
    """With the names of those that are."""
    monkeypatch.setattr(sys, "argv", ["classroom.py", "--only", "nothing of the kind"])
    with pytest.raises(SystemExit, match="no run is called nothing of the kind; there are edge detection, "):
        classroom.main()
