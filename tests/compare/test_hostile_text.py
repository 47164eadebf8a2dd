"""Names, paths, lines of code and messages of somebody who means harm: text in every form, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass, replace
from functools import cache
from html.parser import HTMLParser
from xml.etree import ElementTree as Xml

import made_runs
import pytest
from markdown_it import MarkdownIt

from layerdiff.compare.harmless import harmless_json, no_commands, printable
from layerdiff.compare.render.forms import FORMS, rendered
from layerdiff.compare.render.markdown import render_markdown
from layerdiff.compare.saved import read_run, run_to_json
from layerdiff.compare.verdict import settle

PAYLOADS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"'><img src=x onerror=alert(1)>",
    "ansi": "\x1b[31mred\x1b[0m\x07\x1b]0;title\x07",
    "c1": "\x9b31m",
    "newlines": "a\nb\r\nc\u2028d\x85e",
    "bidi": "\u202egnp.exe\u2066",
    "cdata": "]]><!-- -->",
    "command": "\n::error file=x::owned",
    "command at start": "::error::owned",
    "old command": "##[error]owned ##vso[task.x]y",
    "fence": "```\n# head\n```",
    "table": "| a | b | **bold** [link](https://evil.example) ![x](y)",
    "entity": "&amp;&lt;b&gt;",
    "per cent": "%0A::error::owned%3A",
    "surrogate": "\udc80",
    "somebody": "@someone #1 https://evil.example :smile: $x$",
    "control": "\x00\x7f\ufffe\x08",
}
EACH = pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)

_THEIRS = {
    "expected", "actual", "layer", "partner", "source", "text", "title", "change", "how", "crash", "output", "of",
    "layers", "inputs", "problems", "differences", "written_as", "notes", "evidence", "equally", "doubts", "until",
    "arithmetic", "repaired", "partners", "name", "optimizer",
}  # fmt: skip


def spoilt(value, payload, theirs=False):
    """The record with the payload before every text that can be somebody's; the input keeps its name."""
    if isinstance(value, str):
        return payload + value if theirs and value != "input" else value
    if isinstance(value, tuple):
        return tuple(spoilt(one, payload, theirs) for one in value)
    if isinstance(value, dict):
        return {payload + key: payload + one for key, one in value.items()}
    if is_dataclass(value):
        new = {one.name: spoilt(getattr(value, one.name), payload, one.name in _THEIRS) for one in fields(value)}
        return replace(value, **new)
    return value


@cache
def hostile_runs(payload):
    """Every kind of run, settled anew with the payload in all of its texts."""
    runs = [spoilt(run, payload) for name, run in made_runs.runs().items() if name in {"different", "several", "crash"}]
    return [replace(run, reports=tuple(settle(report) for report in run.reports)) for run in runs]


@cache
def texts(payload, form):
    """Every kind of hostile run in one form."""
    return [rendered(run, form) for run in hostile_runs(payload)]


@EACH
@pytest.mark.parametrize("form", FORMS)
def test_no_sign_steers_a_terminal_or_a_log(payload, form):
    """In every form each sign is printable, and no line is a command to a CI service but those of `github`."""
    for text in texts(payload, form):
        lines = text.split("\n")

        assert all(line.isprintable() for line in lines)
        assert not any("##[" in line or "##vso[" in line for line in lines) or form == "github"
        assert all(line.lstrip().startswith("::") == (form == "github" and line != "") for line in lines)


@EACH
def test_the_text_is_there_to_be_read(payload):
    """What somebody wrote is shown, spelled out; a report does not hide it."""
    for run in hostile_runs(payload):
        concise = rendered(run, "concise")
        assert no_commands("x" + printable(payload))[1:] in concise or no_commands(printable(payload)) in concise


@EACH
def test_lines_stay_lines(payload):
    """A newline in a name makes no line of its own: as many lines as for the run without harm."""
    forms = ("concise", "stat", "github")
    for run, tame in zip(hostile_runs(payload), hostile_runs("tame"), strict=True):
        for form in forms:
            assert len(rendered(run, form).splitlines()) == len(rendered(tame, form).splitlines())


@EACH
def test_json_says_what_it_was(payload, tmp_path):
    """JSON holds the text itself: it is read back as it was, but for what no encoding can write."""
    for run in hostile_runs(payload):
        path = tmp_path / "run.json"
        path.write_bytes(run_to_json(run))

        back = read_run(path)

        assert back == run or payload == PAYLOADS["surrogate"]
        assert back.reports[0].actual == run.reports[0].actual.replace("\udc80", "\\udc80")


@EACH
def test_xml_has_no_element_of_theirs(payload):
    """JUnit has the elements it has without harm, in the same order, and the names spelled out."""
    for run, tame in zip(hostile_runs(payload), hostile_runs("tame"), strict=True):
        found, wanted = (Xml.fromstring(rendered(one, "junit")) for one in (run, tame))
        assert [one.tag for one in found.iter()] == [one.tag for one in wanted.iter()]
        names = [case.get("name") for case in found.iter("testcase")]
        assert names == [case.get("name").replace("tame", printable(payload)) for case in wanted.iter("testcase")]


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.attributes = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data):
        self.texts.append(data)


def page(text):
    """The page that Markdown with HTML in it becomes, as a browser sees it."""
    return tags(MarkdownIt("commonmark").enable("table").enable("strikethrough").render(text))


def tags(text):
    """A page as a browser sees it."""
    parser = _Tags()
    parser.feed(text)
    parser.close()
    return parser


@EACH
def test_the_page_has_no_markup_of_theirs(payload):
    """The page has the tags and attributes it has without harm, and their names as text; its scripts are the same."""
    for text, tame in zip(texts(payload, "html"), texts("tame", "html"), strict=True):
        found, wanted = tags(text), tags(tame)
        assert [tag for tag in found.tags if tag not in {"g", "text"}] == [
            tag for tag in wanted.tags if tag not in {"g", "text"}
        ], "a chart leaves out names for which there is no room"
        assert found.attributes == wanted.attributes
        assert no_commands("x" + printable(payload))[1:] in no_commands("".join(found.texts))
        assert scripts(text) == scripts(tame)


def scripts(text):
    """What a page would run."""
    return re.findall(r"<script>.*?</script>", text, re.DOTALL)


@EACH
def test_markdown_has_no_markup_of_theirs(payload):
    """A comment has the tags it has without harm, no attribute but its own, and the names spelled out as text."""
    for run, tame in zip(hostile_runs(payload), hostile_runs("tame"), strict=True):
        found, wanted = (page(render_markdown(one)) for one in (run, tame))
        assert found.attributes <= {"class"}
        assert [tag for tag in found.tags if tag != "code"] == [tag for tag in wanted.tags if tag != "code"]
        assert no_commands("x" + printable(payload))[1:] in "".join(found.texts)


def test_no_fence_of_theirs_ends_ours():
    """The fold's fence is longer than any row of backticks in the report."""
    for run in hostile_runs("`" * 7 + "\n"):
        text = render_markdown(run)
        fences = re.findall(r"^(`+)text$", text, re.MULTILINE)

        assert [len(fence) for fence in fences] == [8, 8]
        assert "`" * 7 + "\\n" in text


def test_nobody_is_called_and_nothing_linked():
    """What GitHub turns into a link or a call stands in code, where it does not."""
    for run in hostile_runs(PAYLOADS["somebody"]):
        text = render_markdown(run).partition("<details>")[0]
        outside = re.sub(r"<code>.*?</code>", "", text)
        assert not re.search(r"&#64;|&#35;|://|:smile:", outside)


def test_json_escapes_only_what_must_be():
    """Letters of any script stay; what is not printable is escaped as JSON does it, in pairs where it must."""
    text = json.dumps(["größe 漢 \U0001f600", "\x9b\u202e\U000e0001"], ensure_ascii=False)

    assert harmless_json(text) == '["größe 漢 \U0001f600", "\\u009b\\u202e\\udb40\\udc01"]'
    assert json.loads(harmless_json(text)) == json.loads(text)
