"""The docs are true: their code runs, and their commands print what stands below them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

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
