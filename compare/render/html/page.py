"""The whole page: the run's views in the template, its style and its script inside it, and what the browser may do."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from layerdiff.compare.harmless import harmless, no_commands
from layerdiff.compare.render.html.heat import PALETTES, as_data, channel_words, picture
from layerdiff.compare.render.html.views import VERDICTS, ReportView, views
from layerdiff.compare.render.words import input_words, number, share, value, worst_of
from layerdiff.compare.result import Run

__all__ = ["render_html"]

_PACKAGE = "layerdiff.compare.render.html"
_STYLES = ("page.css", "layers.css", "evidence.css")


def render_html(run: Run) -> str:
    """The run as one HTML file that opens from a disk: no request to anywhere, and the same bytes for the same run.

    All but the filter, the keys and the choice of a channel works without scripts. Of style and scripts only the
    page's own are allowed, by their hashes; nothing may be fetched.

    Args:
        run: with its reports settled.
    """
    run = harmless(run)
    found = views(run)
    style = _style(max((one.longest for one in found), default=0))
    script = _text("page.js")
    content = _environment().get_template("page.html").render(
        run=run,
        verdict=VERDICTS[run.verdict],
        views=found,
        style=style,
        script=script,
        policy=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        again=_again(run),
        data=_data(found),
    )  # fmt: skip
    return no_commands(content, colon="&#58;", sharp="&#35;") + "\n"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader(_PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    words = (number, share, value, worst_of, input_words, picture, channel_words)
    made.globals.update({one.__name__: one for one in words})
    return made


def _style(longest: int) -> str:
    """The style, with a class for each line of a graph: a style of an element's own is not allowed."""
    lines = "".join(f".a{i}{{grid-row-start:{i}}}.b{i}{{grid-row-end:{i + 1}}}\n" for i in range(1, longest + 1))
    return "".join(map(_text, _STYLES)) + lines


@cache
def _text(name: str) -> str:
    return (files(_PACKAGE) / "templates" / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """What a browser is to find between the tags, as it names it in a policy.

    Source: Content Security Policy Level 3, section 8.4.
    """
    return "sha256-" + base64.b64encode(hashlib.sha256(f"\n{content}".encode()).digest()).decode()


def _again(run: Run) -> str:
    """The command that gives this run again; empty where it was made from Python."""
    if "test" in run.environment:
        return f"pytest {shlex.quote(run.environment['test'])}"
    return run.environment.get("command", "")


def _data(found: tuple[ReportView, ...]) -> str:
    """The cells of all channels that can be chosen, for the script; nothing of it is somebody else's text."""
    maps = {
        name: [as_data(one) for one in evident.maps]
        for report in found
        for name, evident in report.evident.items()
        if len(evident.maps) > 1
    }
    return json.dumps({"palettes": PALETTES, "maps": maps}, separators=(",", ":")).replace("<", "\\u003c")
