"""The docs are true: their links lead somewhere, their code runs, and their commands print what stands below them."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md", *DOCS]

ELSEWHERE = {
    "README.md": "tests/end_to_end/test_readme.py",
    "docs/classroom.md": "tests/examples/test_classroom.py",
    "docs/initial.md": "tests/end_to_end/test_initial_command.py",
    "docs/pytest.md": "tests/pytest_plugin/test_plugin_docs.py",
    "docs/speed.md": "tests/handwritten/test_fused_docs.py",
    "docs/steps.md": "tests/end_to_end/test_steps_command.py",
}
"""Pages with a test of their own."""

BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<kind>\w*)(?: title=(?P<name>\S+))?\n(?P<text>.*?)^```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """A block of code: its language, the file it is, what stands in it, and why it is not run, if so."""

    kind: str
    name: str | None
    text: str
    reason: str | None

    @property
    def runs(self) -> bool:
        """Whether somebody would run it: Python that is no file, or a command of ours."""
        command = re.search(r"^(\$ )?(layerdiff|pytest|python3? (?!-m pip)) ", self.text, re.M)
        return bool(command) or (self.kind == "python" and self.name is None)


def page_name(page: Path) -> str:
    """A page as it is called from the checkout."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """All blocks of code of a page."""
    found = [match.groupdict() for match in BLOCK.finditer(page.read_text())]
    return [Block(one["kind"], one["name"], one["text"], one["reason"]) for one in found]


def test_every_block_is_seen():
    """The pattern misses none, whatever is written behind its fence."""
    for page in PAGES:
        assert page.read_text().count("\n```") == 2 * len(blocks(page)), page


# Links


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


# Code


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_block_is_run_or_says_why_not(page):
    """What somebody would run is run by a test: here, or by the page's own; or a reason stands before it."""
    if page_name(page) in ELSEWHERE:
        assert page.name in (ROOT / ELSEWHERE[page_name(page)]).read_text()
        return
    idle = [one.text for one in blocks(page) if one.runs and one.kind not in {"python", "console"} and not one.reason]

    assert idle == []


RUN = [
    page
    for page in PAGES
    if page_name(page) not in ELSEWHERE and any(one.runs and not one.reason for one in blocks(page))
]


def test_pages_that_are_run_are_found():
    """A page whose blocks are not seen would pass for a true one."""
    assert {"tutorial.md", "reading.md"} <= {page.name for page in RUN}


@pytest.mark.parametrize("page", RUN, ids=page_name)
def test_a_page_is_true_from_top_to_bottom(layerdiff, tmp_path, page):
    """Its files are written, its changes made, its programs and commands run, in its order and in one folder."""
    shown: dict[str, str] = {}
    for name in re.findall(r"<!-- files of: (\S+) -->", page.read_text()):
        shown |= {one.name: one.text for one in blocks(page.parent / name) if one.name and one.kind != "diff"}
    write(tmp_path, shown)
    for block in blocks(page):
        if block.reason:
            continue
        if block.kind == "diff":
            # A change is to the file as it is shown; the one before is taken back.
            write(tmp_path, {block.name: changed(shown[block.name], block.text)})
        elif block.name:
            shown[block.name] = block.text
            write(tmp_path, {block.name: block.text})
        elif block.kind == "python":
            done = subprocess.run(
                [sys.executable, "-c", block.text], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        elif block.kind == "console":
            for command, code, output in commands(block.text):
                done = layerdiff(*command[1:], cwd=tmp_path)
                assert (command[0], done.returncode) == ("layerdiff", code), done.stdout + done.stderr
                printed = done.stdout.replace(f"{tmp_path}/", "")
                assert not output or agrees(output, printed.splitlines()), printed


def write(folder: Path, files: dict[str, str]) -> None:
    """Files, by their names, as they are now; no bytecode of what they were."""
    for name, text in files.items():
        (folder / name).write_text(text)


def changed(text: str, change: str) -> str:
    """A file as a page changes it: each `-` line, which stands in it once, becomes the `+` line below."""
    for old, new in re.findall(r"^-(.*)\n\+(.*)\n", change, re.MULTILINE):
        assert text.count(f"{old}\n") == 1, old
        text = text.replace(f"{old}\n", f"{new}\n")
    return text


def commands(text: str) -> list[tuple[list[str], int, list[str]]]:
    """The commands of a block, each with the exit code it says, else 0, and the lines that it prints."""
    found = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *output = part.splitlines()
        code = re.search(r"# exit code (\d)$", line)
        found.append((shlex.split(line, comments=True), int(code[1]) if code else 0, output))
    return found


def agrees(shown: list[str], printed: list[str]) -> bool:
    """Whether a command printed what a page shows; `...` stands for any number of lines."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(agrees(shown[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and alike(shown[0], printed[0]) and agrees(shown[1:], printed[1:])


NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]\d+)?")
# Which right layer is nearest to its allowance, and how near, is decided by rounding: by the machine.
ROUNDING = re.compile(r"the worst, \S+, is at 0\.\d\d|at most 0\.\d\d")


def alike(shown: str, printed: str) -> bool:
    """The same words, and numbers that are the same in their first two digits, which no machine's rounding changes."""
    shown, printed = (ROUNDING.sub("rounding", line) for line in (shown, printed))
    if NUMBER.sub("0", shown) != NUMBER.sub("0", printed):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    values = [(float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs]
    # One unit in the second digit, which is what a report rounds to, is at most a tenth.
    return all(a == b if a == int(a) and a < 1000 else abs(a - b) <= 0.1 * abs(a) for a, b in values)


def test_what_is_shown_is_compared():
    """Other words, other counts, lines too few and too many are seen; roundings and what is left out are not."""
    printed = ["conv1 at fault", "  differs by 1.31e-05", "same: 3 of 3 layers; the worst, fc, is at 0.30 of it"]

    assert agrees(printed, printed)
    assert agrees(["...", "  differs by 1.3e-05", "..."], printed)
    assert agrees([*printed[:2], "same: 3 of 3 layers; the worst, conv1, is at 0.00 of it"], printed)
    assert not agrees(["...", "  differs by 2.3e-05", "..."], printed)
    assert not agrees([*printed[:2], "same: 4 of 4 layers; the worst, fc, is at 0.30 of it"], printed)
    assert not agrees(printed[:2], printed)
    assert not agrees(printed[1:], printed)
    assert not agrees([*printed, "and more"], printed)


def test_every_word_of_a_report_is_explained():
    """What a line of a report begins with, every mark and every column stands on the page, in code."""
    page = (ROOT / "docs" / "reading.md").read_text()
    explained = set(re.findall(r"`([^`\n]+?):?`", page))
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
