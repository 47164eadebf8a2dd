"""How a record shows itself to whoever holds it: in a terminal, in a notebook, in a browser.

What draws it is imported when it is asked for, and by its name: records know nothing of how they are drawn.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Shown"]


class Shown:
    """What a `Run` and a `Report` have in common; `as_run` gives the run that is drawn."""

    def show(self) -> Path:
        """The page, opened: in a notebook below the cell, elsewhere in the browser.

        Returns:
            Its file, in the folder for temporary ones; it stays there.

        Raises:
            InputError: it cannot be written.
        """
        path: Path = _of("opened").opened(self.as_run())
        return path

    def as_run(self) -> Any:
        """The run that is drawn."""
        raise NotImplementedError

    def __str__(self) -> str:
        text: str = _of("render.stat").render_stat(self.as_run())
        return text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The report of the terminal, as wide as there is room; for `rich.print`."""
        from rich.text import Text

        text = _of("render.terminal").render_terminal(
            self.as_run(), width=options.max_width, ascii_only=options.ascii_only
        )
        # Where even its columns do not fit, rich goes on in the next line; it would cut them else.
        yield Text(text, overflow="fold")

    def _repr_html_(self) -> str:
        """A summary for a notebook, without scripts."""
        text: str = _of("render.summary").render_summary(self.as_run())
        return text


def _of(name: str) -> Any:
    return importlib.import_module(f"layerdiff.compare.{name}")
