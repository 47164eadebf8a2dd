"""Every link of the README and the docs leads somewhere, and the index leads to every page."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("*/README.md")), *DOCS]


def page_name(page: Path) -> str:
    """A page as it is called from the checkout."""
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The fragments that a page's headings have on GitHub: small letters, no signs, hyphens for spaces."""
    found: dict[str, int] = {}
    tokens = MarkdownIt().parse(page.read_text())
    for opened, inline in itertools.pairwise(tokens):
        if opened.type == "heading_open":
            text = "".join(one.content for one in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            count = found.setdefault(slug, 0)
            found[slug] += 1
            if count:
                found[f"{slug}-{count}"] = 1
    return set(found)


def links(page: Path) -> list[str]:
    """Where a page's links and pictures lead, code left out."""
    inline = [one for token in MarkdownIt().parse(page.read_text()) for one in token.children or ()]
    return [str(one.attrs.get("href") or one.attrs.get("src")) for one in inline if one.type in {"link_open", "image"}]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_leads_somewhere(page):
    """Every relative link names a file that is there, and every fragment a heading in it."""
    for link in links(page):
        if "://" in link:
            continue
        target, _, fragment = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        assert not fragment or fragment in anchors(file), link


def test_links_and_headings_are_found():
    """What is looked for is there: an empty list of links would pass for true ones."""
    assert "your-own-network" in anchors(ROOT / "README.md")
    assert sum(len(links(page)) for page in PAGES) >= 60


def test_the_index_leads_to_every_page():
    """No page is left out of what to read in which order, and each has a line."""
    index = (ROOT / "docs" / "index.md").read_text()
    named = re.findall(r"^- \[[^\]]+\]\(([^)#]+)\)[:,]? .+", index, re.MULTILINE)

    assert {page.name for page in DOCS} - {"index.md"} <= set(named)
    assert len(named) == len(set(named))
