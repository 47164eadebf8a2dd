"""docs/reports.md is true: its example prints what it is said to print, and what it lists is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from layerdiff.compare.evidence.records import Evidence
from layerdiff.compare.result import LayerResult, Report

PAGE = (Path(__file__).parents[3] / "docs" / "reports.md").read_text()


def test_the_example_prints_what_it_says(capsys):
    """Copied and run it prints the lines below it."""
    code, printed = re.search(r"^```python\n(.*?)^```\n\n```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL).groups()
    exec(compile(code, "reports.md", "exec"), {})

    assert capsys.readouterr().out == printed


def test_what_is_listed_is_in_the_records():
    """All of the evidence but its shape is in the table, and what stands beside it has the names that are told."""
    (table,) = re.findall(r"^\| in a layer's `evidence` .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    listed = re.findall(r"`(\w+)`", table)
    told = PAGE[PAGE.index(table) + len(table) :].split("\n\n")[0]
    names = {one.name for record in (LayerResult, Report) for one in fields(record)}

    assert sorted(listed[1:]) == sorted({one.name for one in fields(Evidence)} - {"shape"})
    assert set(re.findall(r"`(\w+)`", told)) <= names
