"""What the docs take from the code and from measurements is what the code and the measurements say."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_word_of_a_report_is_explained():
    """What a line of a report begins with, every mark and every column stands on the page, in code."""
    page = (ROOT / "docs" / "reading.md").read_text()
    code = re.findall(r"`([^`\n]+?):?`", page)
    explained = {*code, *(text.split()[0] for text in code)}
    shown = "\n".join(path.read_text() for path in (ROOT / "tests" / "compare" / "snapshots").glob("*_80.txt"))
    heads = set(re.findall(r"^ {0,2}([a-z]+)  ", shown, re.MULTILINE)) | set(re.findall(r"^([a-z]+):? ", shown, re.M))

    columns = {"#", "layer", "op", "shape", "float32", "float64", "end to end", *"✗↓?⋮", "x", "v", "over", "nan", "-"}

    assert len(heads) >= 20
    assert heads - explained == set()
    assert columns - explained == set()


def test_the_picture_of_the_allowance_says_what_was_measured(monkeypatch):
    """Its table has the figures beside it; both right networks are within their allowances, the wrong one is not."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    measured = json.loads((ROOT / "docs" / "measured" / "allowance_picture.json").read_text())
    page = (ROOT / "docs" / "allowance.md").read_text()
    ratios = list(measured["ratios"].values())

    table = importlib.import_module("allowance_picture").table(measured["layers"], measured["ratios"])

    assert table.rpartition("\n")[0] in page
    within = [
        {ratio is not None and ratio <= 1 for one in found.values() for ratio in one.values()} for found in ratios
    ]
    assert within == [{True}, {True}, {True, False}]


def test_the_page_of_the_public_names_is_up_to_date(monkeypatch):
    """docs/api.md is made from the docstrings."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    api = importlib.import_module("api")

    page = api.render_api()

    assert (ROOT / "docs" / "api.md").read_text() == page, "python benchmarks/api.py writes it anew"
    assert not re.search(r"\n```\n\n(###|$)", page), "every public name has a docstring"
