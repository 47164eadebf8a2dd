"""How an example ends, and how it prints."""

from __future__ import annotations

import sys

import click
import example_kit
import pytest

from layerdiff import InputError
from layerdiff.handwritten._checks import refusal


def raising(error):
    """An example that raises."""

    @example_kit.example
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("digits: wrong", notes=["so"], help="do"), "error: digits: wrong\nnote: so\nhelp: do\n"),
        (refusal("train: stopped", help="do"), "error: train: stopped\nhelp: do\n"),
        (
            ValueError("shapes\nand more"),
            "error: a fault of ours: ValueError: shapes\nhelp: LAYERDIFF_TRACEBACK=1 shows where\n",
        ),
        (KeyError("x"), "error: a fault of ours: KeyError: 'x'\nhelp: LAYERDIFF_TRACEBACK=1 shows where\n"),
        (MemoryError(), "error: out of memory\n"),
    ],
    ids=["input", "refusal", "value", "key", "memory"],
)
def test_errors_are_words(refused, monkeypatch, error, said):
    """No traceback: what cannot be used is said with its notes, a mistake of ours as such, each with exit code 2."""
    monkeypatch.delenv("LAYERDIFF_TRACEBACK", raising=False)
    assert refused(raising(error)) == said


def test_a_fault_can_be_looked_into(monkeypatch):
    """With LAYERDIFF_TRACEBACK set it is raised."""
    monkeypatch.setenv("LAYERDIFF_TRACEBACK", "1")
    monkeypatch.setattr(sys, "argv", ["example.py"])
    with pytest.raises(KeyError):
        example_kit.run(raising(KeyError("x")))


def test_an_unknown_option_is_refused(refused):
    """By click's words, and exit code 2."""
    assert "No such option '--photos'" in refused(raising(KeyError("x")), "--photos")


def test_an_interrupt_ends_with_130(monkeypatch, capsys):
    """And says so."""
    monkeypatch.setattr(sys, "argv", ["example.py"])
    with pytest.raises(SystemExit) as ended:
        example_kit.run(raising(click.exceptions.Abort()))
    assert ended.value.code == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_figures_that_cannot_be_written_are_said(refused, tmp_path):
    """`--figures` in a folder that is not there."""
    path = tmp_path / "none" / "figures.json"

    @example_kit.example
    def command():
        return {"one": 1}

    assert refused(command, "--figures", path) == (
        f"error: {path}: cannot be written, got No such file or directory, expected a writable place\n"
    )


def test_a_table_is_aligned(capsys):
    """The first column on the left, the others on the right; whole numbers in groups of three, words as they are."""
    example_kit.table(("name", "count", "ok"), [("a", 1234567, True), ("long name", "0.50", False)])
    assert capsys.readouterr().out.splitlines() == [
        "name           count     ok",
        "a          1,234,567   True",
        "long name       0.50  False",
    ]


def test_a_paragraph_is_folded(capsys):
    """At 80 columns, but within no word; an empty one is an empty line."""
    example_kit.say("word " * 20 + "a" * 90)
    example_kit.say()
    assert capsys.readouterr().out.splitlines() == [("word " * 16).strip(), "word word word word", "a" * 90, ""]


def test_the_least_of_three_times_is_taken(monkeypatch):
    """Of a task that takes 3, 1 and 2 seconds it is 1000 ms."""
    clock = iter([0, 3, 10, 11, 20, 22])
    monkeypatch.setattr(example_kit.time, "perf_counter", lambda: next(clock))
    assert example_kit.milliseconds(lambda: None) == 1000
