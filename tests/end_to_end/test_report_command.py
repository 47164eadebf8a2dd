"""`layerdiff report` and `layerdiff schema`; what a terminal, a full disk and an interrupt do to a report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from layerdiff.compare.render.forms import Look, rendered
from layerdiff.compare.saved import read_run
from layerdiff.compare.schema import run_schema

SAVED = Path(__file__).parents[1] / "compare" / "saved_runs" / "first.json"


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_a_saved_run_is_shown_in_every_form(layerdiff, form):
    """What is printed is the form, whole; the exit code says that it was done, whatever the verdict."""
    done = layerdiff("report", SAVED, "--format", form)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == rendered(read_run(SAVED), form, Look(80))


def test_annotations_are_relative_to_where_the_command_runs(layerdiff, tmp_path):
    """GitHub wants paths as they are in the checkout."""
    path = tmp_path / "run.json"
    path.write_text(SAVED.read_text().replace('"net.py:', f'"{tmp_path}/src/net.py:'))

    done = layerdiff("report", path, "--format", "github", cwd=tmp_path)

    assert "::error file=src/net.py,line=14,title=layerdiff C1%3A bn1::eps is 0.01, expected 1e-05" in done.stdout


def test_a_saved_run_is_shown_as_it_was_judged(layerdiff):
    """`report` prints what `compare` prints that judges it again under the same allowances; `--stat` its last lines."""
    again = layerdiff("compare", SAVED).stdout

    assert layerdiff("report", SAVED).stdout == again
    assert layerdiff("compare", SAVED, "--stat").stdout.splitlines() == again.splitlines()[-2:]


def test_stat_prints_the_answers_alone(layerdiff):
    """`--stat` is one line for each way."""
    assert layerdiff("report", SAVED, "--stat").stdout == (
        "forward   different: 1 layer at fault, 3 inherit, 1 same\n"
        "backward  different in eval mode: 1 layer at fault, 1 inherits, 3 same\n"
    )


def test_a_report_is_written_to_a_file(layerdiff, tmp_path):
    """`--output` writes the form that was asked for, and prints nothing."""
    done = layerdiff("report", SAVED, "--format", "junit", "--output", tmp_path / "out.xml")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "out.xml").read_text() == rendered(read_run(SAVED), "junit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.json",), "error: none.json: no such file, expected a run written with --output\n"),
        ((SAVED, "--output", "none/out.md"),
         "error: none/out.md: cannot be written, expected a file in a folder that exists\n"),
    ],
    ids=["file", "output"],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_line(layerdiff, arguments, message):
    """Exit code 2, nothing on stdout."""
    done = layerdiff("report", *arguments)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


def test_the_schema_is_printed(layerdiff):
    """`layerdiff schema` prints the schema that the tests hold the JSON to."""
    assert json.loads(layerdiff("schema").stdout) == run_schema()


@pytest.mark.parametrize("columns", [80, 200])
def test_the_report_is_as_wide_as_the_terminal(layerdiff, columns):
    """COLUMNS says how wide."""
    assert layerdiff("report", SAVED, COLUMNS=str(columns)).stdout == rendered(read_run(SAVED), "full", Look(columns))


def test_there_is_no_escape_in_a_report(layerdiff):
    """A report has no colours that could be wanted or not: marks say it, whatever NO_COLOR and FORCE_COLOR say."""
    forced, without = (layerdiff("report", SAVED, **{name: "1"}).stdout for name in ("FORCE_COLOR", "NO_COLOR"))

    assert forced == without
    assert "\x1b" not in forced


def test_a_dumb_terminal_gets_ascii(layerdiff):
    """TERM=dumb is as good as --ascii."""
    done = layerdiff("report", SAVED, TERM="dumb")

    assert done.stdout.isascii()
    assert done.stdout == layerdiff("report", SAVED, "--ascii").stdout


def test_an_error_cannot_steer_the_terminal(layerdiff):
    """What an error repeats of somebody's is spelled out on stderr."""
    done = layerdiff("report", "\x1b[31mred.json")

    assert done.stderr == "error: \\x1b[31mred.json: no such file, expected a run written with --output\n"


def test_a_report_needs_no_torch_and_no_charts():
    """To show a saved run takes no second: neither torch nor what draws the page's charts is imported."""
    code = (
        "import sys, layerdiff.command.report, layerdiff.compare.render.forms; "
        "print({'torch', 'altair', 'vl_convert', 'jinja2'} & set(sys.modules))"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_the_page_is_written_beside_the_run_and_opened(layerdiff, tmp_path):
    """`--open` writes RUN.html, prints its address and gives it to the browser; `--output` says where else."""
    (tmp_path / "run.json").write_text(SAVED.read_text())
    for more, name in (((), "run.html"), (("--output", "other.html"), "other.html"), ((), "run.html")):
        done = layerdiff("report", "run.json", "--open", *more, cwd=tmp_path, BROWSER="echo opened=%s")

        address = (tmp_path / name).as_uri()
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{address}\nopened={address}\n", "")
        assert (tmp_path / name).read_text() == rendered(read_run(SAVED), "html")


def test_where_there_is_no_browser_the_page_is_written_all_the_same(layerdiff, tmp_path):
    """That is said in a line, with exit code 2."""
    (tmp_path / "run.json").write_text(SAVED.read_text())

    done = layerdiff("report", "run.json", "--open", cwd=tmp_path, BROWSER="false", PATH="", DISPLAY="")

    assert done.stdout == (tmp_path / "run.html").as_uri() + "\n"
    assert (done.returncode, done.stderr) == (
        2, "error: run.html: no browser could be started\nhelp: open the address above\n"
    )  # fmt: skip


def test_nobody_elses_page_is_written_over(layerdiff, tmp_path):
    """What stands beside the run and is no page of ours stays."""
    (tmp_path / "run.json").write_text(SAVED.read_text())
    (tmp_path / "run.html").write_text("mine")

    done = layerdiff("report", "run.json", "--open", cwd=tmp_path, BROWSER="true")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: run.html: cannot be written, it is there and no page of layerdiff's\nhelp: say where: --output\n"
    )
    assert (tmp_path / "run.html").read_text() == "mine"
