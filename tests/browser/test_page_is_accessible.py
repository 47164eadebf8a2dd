"""The page for everybody: axe finds nothing serious, in the light, in the dark, and on a phone."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

DESKTOP, PHONE = (1280, 800), (390, 844)


@pytest.fixture(scope="session")
def axe():
    """The checker's script, which its package brings."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "size", "dark"),
    [
        ("with evidence", DESKTOP, False),
        ("with evidence", DESKTOP, True),
        ("with evidence", PHONE, False),
        ("different", DESKTOP, True),
        ("same", DESKTOP, False),
        ("crash", DESKTOP, False),
        ("several", PHONE, True),
    ],
)
def test_axe_finds_nothing_serious(opened, axe, name, size, dark):
    """Contrast, names, order of headings, landmarks, keyboard: no serious or critical violation."""
    page = opened(name, size=size, dark=dark).page
    page.evaluate(axe)

    found = page.evaluate("axe.run({resultTypes: ['violations']})")

    assert int(found["testEngine"]["version"].split(".")[0]) >= 4
    assert len(found["passes"]) > 15, "it looked"
    bad = [one for one in found["violations"] if one["impact"] in {"serious", "critical"}]
    assert [(one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in bad] == []


def test_axe_would_see_it(opened, axe):
    """A picture without words and grey letters on grey are found, so the checker works under the page's policy."""
    page = opened("with evidence").page
    page.evaluate("document.querySelector('.maps img').removeAttribute('alt')")
    page.evaluate("document.querySelector('h1').style.color = '#e8e8e8'")
    page.evaluate(axe)

    found = page.evaluate("axe.run()")

    assert {"image-alt", "color-contrast"} <= {one["id"] for one in found["violations"]}


@pytest.mark.parametrize("name", ["with evidence", "several", "crash"])
def test_headings_are_in_order(opened, name):
    """One first heading, and none that skips a step."""
    page = opened(name).page

    levels = page.locator("h1, h2, h3, h4, h5").evaluate_all("heads => heads.map((head) => Number(head.tagName[1]))")

    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
