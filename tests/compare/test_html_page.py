"""The page as text: it needs nothing from anywhere, allows only itself, and is small."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from html_runs import RUNS, wrong_run

from layerdiff.compare.render.html.page import render_html
from layerdiff.compare.saved import read_run

PAGES = {name: render_html(run) for name, run in RUNS.items()}
EVERY = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
LIMIT = 3_000_000


class _Parsed(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    @property
    def ids(self):
        return [attrs["id"] for _, attrs in self.tags if "id" in attrs]


@EVERY
def test_the_page_asks_nobody_for_anything(page):
    """No address in it leads out: links stay in the page, pictures are data, and there is nothing else to load."""
    for tag, attrs in _Parsed(page).tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form" if "action" in attrs else "link"}
        for name in {"href", "src", "xlink:href", "action"} & set(attrs):
            assert attrs[name].startswith("data:image/png;base64," if tag == "img" else "#"), attrs
    assert "url(" not in page
    assert "@import" not in page


@EVERY
def test_only_its_own_style_and_script_may_run(page):
    """The policy has the hash of the one style and of the one script, and allows no other and no attribute of style."""
    style, script = (
        re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1].encode() for tag in ("style", "script")
    )  # fmt: skip
    policy = next(attrs["content"] for tag, attrs in _Parsed(page).tags if "http-equiv" in attrs)

    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    for name, content in (("style-src", style), ("script-src", script)):
        assert allowed[name] == f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
    assert allowed["default-src"] == "'none'"
    assert "unsafe" not in policy
    assert not any("style" in attrs or any(name.startswith("on") for name in attrs) for _, attrs in _Parsed(page).tags)


@EVERY
def test_every_link_leads_to_something(page):
    """Each id stands for one element, and each link and each name of a part leads to one."""
    parsed = _Parsed(page)

    assert len(parsed.ids) == len(set(parsed.ids))
    assert {attrs["href"][1:] for _, attrs in parsed.tags if "href" in attrs} <= set(parsed.ids)
    assert {attrs["aria-labelledby"] for _, attrs in parsed.tags if "aria-labelledby" in attrs} <= set(parsed.ids)


@pytest.mark.parametrize("name", RUNS)
def test_the_same_run_gives_the_same_bytes(name):
    """Nothing of the page depends on when and where it is made."""
    assert render_html(RUNS[name]) == PAGES[name]


def test_ten_layers_at_fault_fit():
    """The page of a ResNet-50 with ten layers at fault, each with all its maps, is smaller than 3 MB."""
    run = wrong_run(layers=175, faults=10)
    page = render_html(run)

    maps = json.loads(re.search(r'<script type="application/json".*?>(.*?)</script>', page, re.DOTALL)[1])["maps"]
    assert [len(one) for one in maps.values()] == [16] * 10
    assert 1_000_000 < len(page.encode()) < LIMIT


def test_many_layers_at_fault_are_kept_small():
    """Of 175 layers at fault those after the 16th show their worst channel, and say how many more there are."""
    page = render_html(wrong_run(layers=175, faults=175))

    assert len(page.encode()) < 2 * LIMIT
    assert page.count("The maps of 15 more of these channels are in the run") == 175 - 16


def test_a_run_of_the_first_version_is_shown():
    """An older file has no evidence, no graph and no sizes: these are left out, and the page says so."""
    page = render_html(read_run(Path(__file__).parent / "saved_runs" / "first.json"))

    assert "The run holds no values of this layer" in page
    assert "This run does not hold the graph of the candidate" in page
    assert ">Sizes<" not in page


def test_the_command_is_there_to_be_repeated():
    """The command stands in the answer, and a test's name does where a test made the run; else neither."""
    run = RUNS["different"]
    made = {"command": "layerdiff run --actual 'a b.py'", "test": "test_net.py::test_it"}
    for name, words in (
        ("command", "layerdiff run --actual &#39;a b.py&#39;"),
        ("test", "pytest test_net.py::test_it"),
    ):
        page = render_html(replace(run, environment={**run.environment, name: made[name]}))
        assert f"Repeat it</span> <code>{words}</code>" in re.sub(r"<span>(.*?)</span>", r"\1", page)
    assert "Repeat it" not in PAGES["different"]
