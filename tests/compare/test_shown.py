"""How a run and a report show themselves: as text, in rich, in a notebook, and as a page that is opened."""

from __future__ import annotations

import io
import sys
import tempfile
import types
from dataclasses import fields, replace
from html.parser import HTMLParser

import made_runs
import pytest
from rich.console import Console
from test_hostile_text import EACH, hostile_runs

from layerdiff.compare import opened as module
from layerdiff.compare.harmless import printable
from layerdiff.compare.render.forms import rendered
from layerdiff.compare.render.stat import render_stat
from layerdiff.compare.render.summary import render_summary
from layerdiff.compare.render.terminal import render_terminal
from layerdiff.compare.result import LayerResult, Report, Run
from layerdiff.errors import InputError


class _Read(HTMLParser):
    """What a page consists of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = set(), set(), "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def different():
    """A run with causes and faults."""
    return made_runs.runs()["different"]


def test_as_text_a_run_is_its_answer():
    """`str` gives the answers alone; a report is a run of one."""
    run = different()

    assert str(run) == f"{run}" == render_stat(run)
    assert str(run.reports[0]) == render_stat(Run({}, run.reports[:1]))
    assert len(str(run).splitlines()) == 1


@pytest.mark.parametrize("width", [80, 120])
def test_rich_prints_the_report_of_the_terminal(width):
    """As wide as the console, sign for sign, with nothing taken for markup."""
    run = replace(different(), notes=("a note [bold]in[/bold] brackets that " + "goes on and " * 7 + "ends",))
    console = Console(file=io.StringIO(), width=width)
    console.print(run)

    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines == [line.rstrip() for line in render_terminal(run, width=width).splitlines()]
    assert lines != [line.rstrip() for line in render_terminal(run, width=200 - width).splitlines()]


def test_where_a_console_is_too_narrow_nothing_is_cut():
    """What does not fit goes on in the next line."""
    console = Console(file=io.StringIO(), width=30)
    console.print(different())

    assert "".join(console.file.getvalue().split()) == "".join(render_terminal(different(), width=30).split())


def test_rich_keeps_to_ascii_where_the_console_does():
    """A console that knows no more gets no more."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=stream, width=80)
    console.print(different())
    stream.flush()

    assert stream.buffer.getvalue().decode("ascii").rstrip() == render_terminal(different(), ascii_only=True).rstrip()


@pytest.mark.parametrize("name", made_runs.runs())
def test_a_notebook_shows_a_summary(name):
    """The answers, and for what is different the causes and the layers at fault, whole, without scripts or links."""
    run = made_runs.runs()[name]
    found = _Read(run._repr_html_())

    assert run._repr_html_() == render_summary(run)
    assert not found.open
    assert found.tags <= {"div", "p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert found.attributes == {"class"}
    for report in run.reports:
        assert report.actual in found.text
        if report.verdict == "different":
            assert all(one.code in found.text and printable(one.title) in found.text for one in report.findings)
            assert all(one.layer in found.text for one in report.layers if one.status == "fault")


def test_of_many_causes_and_faults_ten_are_shown_and_the_rest_is_counted():
    """A summary stays one."""
    report = made_runs.made(findings=tuple(replace(made_runs.CAUSE, title=f"cause {i}") for i in range(13)))
    layers = tuple(replace(layer, status="fault", reason="so") for layer in report.layers)
    text = _Read(replace(report, layers=layers)._repr_html_()).text

    assert "cause 9" in text
    assert "cause 10" not in text
    assert "and 3 more" in text
    assert f"and {len(layers) - 10} more" in text


def test_a_run_of_nothing_says_so():
    """There is always something to see."""
    assert "nothing was compared" in Run({}, ())._repr_html_()


@EACH
def test_a_notebook_shows_somebody_elses_words_as_text(payload):
    """Whatever they wrote, no tag or attribute comes of it."""
    for run in hostile_runs(payload):
        text = run._repr_html_()
        found = _Read(text)

        assert not found.open
        assert found.attributes == {"class"}
        assert not found.tags & {"script", "img", "a", "b", "h1"}
        assert printable(payload) in found.text
        assert all(line.isprintable() for line in text.split("\n"))


@pytest.fixture
def page(monkeypatch, tmp_path):
    """A page that says whose it is, a folder for temporary files, and what was opened."""
    monkeypatch.setattr(module, "rendered", lambda run, form: f"<p>{len(run.reports)} & more</p>" * (form == "html"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened = []
    monkeypatch.setattr(module.webbrowser, "open", opened.append)
    return opened


def test_show_opens_the_page_in_the_browser(page, tmp_path):
    """It is written to a file, which is opened and named."""
    path = different().reports[0].show()

    assert path.parent == tmp_path
    assert (path.suffix, path.read_text()) == (".html", "<p>1 & more</p>")
    assert page == [path.as_uri()]


def test_what_is_opened_is_the_page(monkeypatch, tmp_path):
    """The form `html`, to the letter."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module.webbrowser, "open", str)

    assert different().show().read_text() == rendered(different(), "html")


def test_in_a_notebook_show_displays_the_page(page, monkeypatch):
    """Below the cell, in a frame that nothing leaves; no browser is opened."""
    shown = []
    display = types.ModuleType("IPython.display")
    display.HTML, display.display = (lambda text: text), shown.append
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    path = different().show()

    assert path.read_text() == "<p>1 & more</p>"
    assert page == []
    assert 'sandbox="allow-scripts"' in shown[0]
    assert 'srcdoc="&lt;p&gt;1 &amp; more&lt;/p&gt;"' in shown[0]

    ipython.get_ipython = types.SimpleNamespace
    different().show()
    assert (len(shown), len(page)) == (1, 1)


def test_where_no_file_can_be_made_show_says_so(page, monkeypatch, tmp_path):
    """One line, and no traceback for those who call the command."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))

    with pytest.raises(InputError) as error:
        different().show()
    assert str(error.value) == "show: no temporary file can be made, got No such file or directory"


def test_what_is_printed_of_a_record_leaves_the_pictures_out():
    """`repr`, which pytest prints, stays readable."""
    assert not {"operations", "tried"} & {one.name for one in fields(Report) if one.repr}
    beside = {"evidence", "parameters", "attributes", "code"}
    assert not beside & {one.name for one in fields(LayerResult) if one.repr}
