"""What the terminal shows, compared to the letter with what it showed when somebody last looked at it.

`LAYERDIFF_SNAPSHOTS=write pytest tests/compare/test_snapshots.py` writes the snapshots anew: look at the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import made_runs
import pytest

from layerdiff.compare.render.terminal import render_terminal

FOLDER = Path(__file__).parent / "snapshots"
RUNS = {name: run for name, run in made_runs.runs().items() if run.reports}


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("every", [False, True], ids=["faults", "all"])
def test_the_terminal_shows_what_it_showed(name, width, every):
    """The report on each kind of run, at three widths, is to the letter what it was."""
    path = FOLDER / f"{name}_{'all' if every else 'faults'}_{width}.txt"

    text = render_terminal(RUNS[name], width=width, every_layer=every) + "\n"

    if os.environ.get("LAYERDIFF_SNAPSHOTS") == "write":
        path.write_text(text)
    assert text == path.read_text()


def test_no_snapshot_is_of_nothing():
    """Every file in the folder is of a run and a width that are tested."""
    known = {f"{name}_{part}_{width}.txt" for name in RUNS for part in ("faults", "all") for width in (80, 120, 200)}

    assert {path.name for path in FOLDER.iterdir()} == known


@pytest.mark.parametrize("width", [80, 120, 200])
def test_snapshots_fit_their_width(width):
    """No line is wider than the terminal, but for an answer, which is one line, and a path, which is copied whole."""
    for path in FOLDER.glob(f"*_{width}.txt"):
        wide = [line for line in path.read_text().splitlines() if len(line) > width]
        assert all(line.startswith(("same: ", "different: ", "could not tell: ", "where ")) for line in wide), wide
