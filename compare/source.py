"""Where in a network's code an operation was called."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

__all__ = ["calling_line", "line_of_traceback"]

_OWN = str(Path(__file__).parent)
_MACHINERY = ("/torch/", "/numpy_layer.py", "/numpy_layers.py", "/contextlib.py")


def calling_line() -> str | None:
    """`file:line` of the nearest caller that is neither ours nor a library's machinery; None if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if _is_theirs(path):
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return None


def line_of_traceback(traceback: TracebackType | None) -> str | None:
    """`file:line` of the innermost frame of a traceback that is neither ours nor a library's; None if there is none."""
    found = None
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        if _is_theirs(path):
            found = f"{path}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def _is_theirs(path: str) -> bool:
    return not path.startswith(_OWN) and not any(part in path for part in _MACHINERY)
