"""`layerdiff explain`: what a code means, on the terminal."""

from __future__ import annotations

import json
import subprocess
import sys

from layerdiff.compare.catalogue import CAUSES


def test_one_code(layerdiff):
    """A code in any case: title, meaning, reasons, signs, fix, threads and an example, plain, at 80 columns, exit 0."""
    done = layerdiff("explain", "c1")

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == "C1  a batch norm has another eps"
    heads = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    assert heads == ["C1", "meaning", "why", "signs", "fix", "met", "example", "prints"]
    assert "    actual[1].eps = 1e-3" in lines
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout


def test_several_codes(layerdiff):
    """Several codes are told one after the other, in the order in which they were asked for."""
    done = layerdiff("explain", "K1", "A1")

    titles = [line for line in done.stdout.splitlines() if line.startswith(("K1 ", "A1 "))]
    assert done.returncode == 0
    assert titles == [f"{code}  {CAUSES[code].title}" for code in ("K1", "A1")]


def test_the_list(layerdiff):
    """`--list`, and no code at all, list every code with its title in 80 columns."""
    done, bare = layerdiff("explain", "--list"), layerdiff("explain")

    assert done.returncode == bare.returncode == 0
    assert done.stdout == bare.stdout
    assert all(f"  {code:<5}{one.title}\n" in done.stdout for code, one in CAUSES.items())
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_json(layerdiff):
    """`--format json` prints every field of the causes that were asked for, or of all, and nothing else."""
    (one,) = json.loads(layerdiff("explain", "C1", "--format", "json").stdout)
    everything = json.loads(layerdiff("explain", "--list", "--format", "json").stdout)

    assert one["code"] == "C1"
    assert one["group"] == "normalisation"
    assert one["example"] == CAUSES["C1"].example
    assert one["sources"] == list(CAUSES["C1"].sources)
    assert [found["code"] for found in everything] == list(CAUSES)


def test_unknown_codes(layerdiff):
    """Unknown codes: exit 2, one error line with near ones, a note on what is left out, nothing on stdout."""
    done = layerdiff("explain", "C1", "C33", "G7")

    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert lines[0].startswith("error: explain: no such code, got C33, G7, expected one such as C3")
    assert lines[1].startswith("note: G7 is ")
    assert lines[2:] == ["help: layerdiff explain --list shows all of them"]


def test_it_does_not_wait_for_torch():
    """The command answers without importing torch."""
    code = (
        "import sys; sys.argv = ['layerdiff', 'explain', 'C1']\n"
        "from layerdiff.command.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "False"
