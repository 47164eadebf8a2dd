"""Where in a network's code an operation was called."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["calling_line"]

_OWN = str(Path(__file__).parent)
_MACHINERY = ("/torch/", "/numpy_layer.py", "/numpy_layers.py", "/contextlib.py")


def calling_line() -> str | None:
    """`file:line` of the nearest caller that is neither ours nor a library's machinery; None if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(_OWN) and not any(part in path for part in _MACHINERY):
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return None
