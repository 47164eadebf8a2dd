"""The catalogue of causes: complete, true, and about every code there is."""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import layerdiff.compare
from layerdiff.compare.catalogue import CAUSES, GROUPS, LEFT_OUT, cause, causes_of
from layerdiff.compare.render.explain import render_cause, render_list, render_page
from layerdiff.errors import InputError

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\b[A-KMU]\d{1,2}\b")
LENGTH = 30
LONGER = {"J1": 34, "J2": 32, "J4": 40, "J5": 40, "J6": 36, "J8": 36, "J10": 38, "J11": 32, "J13": 38, "K6": 34}
"""Lines of examples in which both ways are written out, or a step of training."""

NOTHING = {"C12", "H4"}
"""What no comparison of forward passes shows at all."""

UNDER_ANOTHER = {"G8": "K2", "H5": "U1", "K3": "K1"}
"""What a comparison shows, and cannot tell from another cause, whose name it has."""

AWAITED: dict[str, str] = {}
"""Whose example the diagnosis does not name yet, and what it says instead; one that does must leave this list."""

UNSOURCED = {"A17", "D8", "D9", "F7", "G9", "G10", "G11", "J8", "J9", "J10", "J11", "J13"}
"""What is in no thread that we know, and is here because the diagnosis tells it apart."""


def run(code):
    """The names that an example leaves, and what it prints."""
    example = CAUSES[code].example
    name = f"<example {code}>"
    linecache.cache[name] = (len(example), None, example.splitlines(keepends=True), name)
    stream, names = io.StringIO(), {"__name__": "example"}
    with contextlib.redirect_stdout(stream):
        exec(compile(example, name, "exec"), names)
    return names, stream.getvalue()


def awaited(code):
    """A code as a parameter, expected to fail where the diagnosis does not name it yet."""
    marks = [pytest.mark.xfail(raises=AssertionError, strict=True, reason=AWAITED[code])] if code in AWAITED else []
    return pytest.param(code, marks=marks, id=code)


@pytest.mark.parametrize("code", [awaited(code) for code in CAUSES])
def test_every_example_finds_its_code(code):
    """Each example runs, its own assertion that its code is found included, and prints what the catalogue says."""
    assert code in NOTHING or f'"{UNDER_ANOTHER.get(code, code)}"' in CAUSES[code].example
    _, printed = run(code)

    assert printed == CAUSES[code].prints + "\n", "python benchmarks/findings.py writes what the examples print"


@pytest.mark.parametrize("code", [code for code in CAUSES if code[0] == "M"])
def test_every_shape_error_is_one_that_torch_raises(code):
    """The example of each shape error makes torch itself raise: forward, when loading, or later in training."""
    names, _ = run(code)
    actual = names["actual"]

    def provoke():
        if "given" in names:
            actual(torch.zeros(names["given"]))
        elif "shapes" in names:
            actual.load_state_dict(names["expected"].state_dict())
        elif code == "M15":
            logits = actual(torch.zeros(4, 3, 16, 16))
            torch.nn.functional.cross_entropy(logits, torch.zeros(4, dtype=torch.long))
        else:
            actual(torch.ones(1, 3, 8, 8)).sum().backward()

    with pytest.raises((RuntimeError, ValueError)):
        provoke()


def test_what_no_forward_pass_shows_is_said():
    """The codes that no forward pass can name are exactly these, and say why, or under which code they are found."""
    assert {code for code, one in CAUSES.items() if one.unseen} == NOTHING | set(UNDER_ANOTHER)
    assert all("findings" not in CAUSES[code].example for code in NOTHING)
    assert all(CAUSES[code].unseen.endswith(f"it is found as {other}") for code, other in UNDER_ANOTHER.items())


def test_every_code_that_is_told_has_an_entry():
    """Each code that stands in the modules which name causes, and each that a text of the catalogue mentions."""
    folder = Path(layerdiff.compare.__file__).parent
    paths = [
        path
        for part in ("diagnosis", "gradients", "initial", "preprocessing", "shape_errors", "steps")
        for path in sorted((folder / part).rglob("*.py"))
    ]
    told = {
        node.value: path.name
        for path in (*paths, folder / "finding.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    }
    assert len(told) > 40
    assert {code: name for code, name in told.items() if code not in CAUSES} == {}

    texts = {code: f"{one.meaning} {one.why} {one.signature} {one.fix}" for code, one in CAUSES.items()}
    mentioned = {(code, other) for code, text in texts.items() for other in CODE.findall(text)}
    assert {pair for pair in mentioned if pair[1] not in CAUSES} == set()
    assert {code for code, other in mentioned if code == other} == set()


@pytest.mark.parametrize("code", CAUSES)
def test_every_entry_is_complete(code):
    """A title that fits on a line, whole sentences, threads where there are any, an example that is short."""
    one = CAUSES[code]

    assert code == one.code
    assert CODE.fullmatch(code)
    assert len(one.title) <= 73
    assert not one.title.endswith(".")
    for text in (one.meaning, one.why, one.signature, one.fix):
        assert re.match(r"[A-Za-z0-9\"`(]", text)
        assert text.endswith((".", ")"))
        assert "  " not in text
    assert 1 <= len(re.findall(r"[.:?](?: |$)", one.meaning)) <= 6
    assert (not one.sources) is (code in UNSOURCED)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", source) for source in one.sources)
    lines = [line for line in one.example.splitlines() if line]
    assert len(lines) <= LONGER.get(code, LENGTH)
    assert max(map(len, lines)) <= 76


def test_conventions_are_told_from_mistakes():
    """These differ by convention, and their text says so; the others do not."""
    conventions = {code for code, one in CAUSES.items() if one.convention}

    assert conventions == {"A1", "A2", "A8", "B1", "D4", "D5", "D6", "G6"}
    for code, one in CAUSES.items():
        assert ("another convention" in render_cause(one)) is (code in conventions)


def test_codes_in_any_case_once_each():
    """Codes are found whatever their case, in the order in which they were asked for, each once."""
    assert cause("c1") is CAUSES["C1"]
    assert [one.code for one in causes_of(["k1", "A2", "K1"])] == ["K1", "A2"]
    assert causes_of([]) == ()


@pytest.mark.parametrize(
    ("code", "near"),
    [("C33", "C3"), ("g7", "K2"), ("G7", "G5"), ("eps", "C1"), ("Q9", "A1"), ("B", "A1"), ("", "A1")],
    ids=lambda value: value or "nothing",
)
def test_unknown_codes_name_near_ones(code, near):
    """A code that has no entry is refused in a line that names near ones; of one left out a note says why."""
    with pytest.raises(
        InputError, match=rf"^explain: no such code, got .*, expected one such as .*\b{near}\b"
    ) as caught:
        cause(code)

    notes = caught.value.__notes__
    assert notes[-1] == "help: layerdiff explain --list shows all of them"
    assert any(note.startswith(f"note: {code.upper()} is ") for note in notes) is (code.upper() in LEFT_OUT)


def test_all_unknown_codes_are_named_at_once():
    """Several unknown codes are one error, each with what is near it."""
    with pytest.raises(InputError, match=r"got x1, g7, expected one such as A1, C1, G5, K2") as caught:
        causes_of(["x1", "C1", "g7"])

    assert [note[:12] for note in caught.value.__notes__] == ["note: G7 is ", "help: layerd"]


def test_what_is_left_out_is_in_no_list():
    """A code has an entry or is left out, never both, and the nearest of each have an entry."""
    assert set(LEFT_OUT) & set(CAUSES) == set()
    assert {code for _, near in LEFT_OUT.values() for code in near} <= set(CAUSES)


@pytest.mark.parametrize("width", [72, 80, 200])
def test_the_text_keeps_the_width(width):
    """Text is wrapped to the width, and never wider than can be read; an example's lines stay as they are."""
    for one in CAUSES.values():
        text = render_cause(one, width=width)
        own, _, rest = text.partition("\nexample\n")
        example, _, prints = rest.partition("\nprints ")
        assert all(len(line) <= min(width, 100) for line in (*own.splitlines(), *prints.splitlines()))
        assert all(len(line) <= 80 for line in example.splitlines())
        assert " ".join(one.meaning.split()) in " ".join(own.split())
        assert all(source in own for source in one.sources)


def test_the_list_has_every_code_on_a_line():
    """At 80 columns each code and its title are one line, under the name of its group."""
    lines = render_list(width=80).splitlines()

    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(CAUSES)
    assert all(f"  {one.code:<5}{one.title}" in lines for one in CAUSES.values())
    assert [line for line in lines if line in GROUPS.values()] == list(GROUPS.values())


def test_the_page_is_what_the_catalogue_says():
    """docs/findings.md is made from the catalogue."""
    page = (ROOT / "docs" / "findings.md").read_text()

    assert page == render_page(), "python benchmarks/findings.py writes it anew"


def test_no_torch():
    """The catalogue and its text are there without torch."""
    code = (
        "import sys; from layerdiff.compare.render.explain import render_page; render_page(); "
        "print([name for name in ('torch', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
