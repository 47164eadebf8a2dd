"""A run's page, opened for whoever asks: below a notebook's cell, or in the browser."""

from __future__ import annotations

import html
import importlib
import os
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

from layerdiff.compare.render.forms import rendered
from layerdiff.compare.result import Run
from layerdiff.compare.saved import write_file
from layerdiff.errors import InputError

__all__ = ["opened"]

_FRAME = '<iframe title="layerdiff" sandbox="allow-scripts" width="100%" height="720" srcdoc="{}"></iframe>'


def opened(run: Run) -> Path:
    """The file of the run's page, which is shown.

    Raises:
        InputError: it cannot be written.
    """
    page = rendered(run, "html")
    try:
        descriptor, name = tempfile.mkstemp(prefix="layerdiff-", suffix=".html")
    except OSError as error:
        raise InputError(f"show: no temporary file can be made, got {error.strerror}") from None
    os.close(descriptor)
    path = Path(name)
    write_file(path, page.encode())
    display = _display_of_a_notebook()
    if display is None:
        webbrowser.open(path.as_uri())
    else:
        # In a frame of its own: the page's style is not the notebook's, and it can reach nothing of it.
        display.display(display.HTML(_FRAME.format(html.escape(page))))
    return path


def _display_of_a_notebook() -> Any:
    """IPython's module for what is shown below a cell; None where no notebook runs this."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return importlib.import_module("IPython.display") if getattr(shell, "kernel", None) is not None else None
