"""A browser that is cut off from every network, and pages opened in it from the disk."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

COMPARE = str(Path(__file__).parents[1] / "compare")
if COMPARE not in sys.path:
    sys.path.insert(0, COMPARE)  # for html_runs.py and made_runs.py: in importlib mode no folder is on the path

NAMES = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1280, 800), (390, 844)


@dataclass
class Opened:
    """A page in the browser.

    Attributes:
        page: Playwright's.
        requests: the addresses it asked for.
        errors: what it wrote to the console as errors or warnings, and what its scripts raised.
    """

    page: object
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """The browser; skips, saying so, where there is none."""
    path = os.environ.get("LAYERDIFF_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here: tests/browser/install.sh installs it, or LAYERDIFF_CHROMIUM names it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> Callable[[str], str]:
    """The address of the page of a run by hand, by the run's name; written once."""
    from html_runs import RUNS

    from layerdiff.compare.render.html.page import render_html

    folder, written = tmp_path_factory.mktemp("pages"), {}

    def address(name: str) -> str:
        if name not in written:
            path = folder / f"{name}.html"
            path.write_text(render_html(RUNS[name]), encoding="utf-8")
            written[name] = path.as_uri()
        return written[name]

    return address


@pytest.fixture
def opened(chromium, pages) -> Iterator[Open]:
    """Opens the page of a run: `opened("different", size=PHONE, dark=True, scripts=False, fragment="#bn1")`."""
    contexts = []

    def open_page(name, *, size=DESKTOP, dark=False, scripts=True, fragment=""):
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            offline=True,
        )
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.on(
            "console", lambda said: found.errors.append(said.text) if said.type in {"error", "warning"} else None
        )
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.goto((name if name.startswith("file:") else pages(name)) + fragment)
        return found

    yield open_page
    for context in contexts:
        context.close()
