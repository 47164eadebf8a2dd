"""The colours of the page: those of the charts, which the page's style swaps in the dark, and those of heat maps."""

from __future__ import annotations

import numpy as np

__all__ = ["BAND", "BLUE", "DIFFERENCE", "FAULT", "INHERITED", "INK", "LINE", "MUTED", "SAME", "UNJUDGED", "VALUE"]

# Each is also in page.css, where the dark page has another for it.
INK = "#1c1e22"
MUTED = "#5c626d"
LINE = "#d5d9e0"
BAND = "#f3f4f7"
FAULT = "#b3261e"
INHERITED = "#8a5a00"
SAME = "#2e7d5b"
UNJUDGED = "#6b4fa0"
BLUE = "#2b5fb8"

_VALUE = ("#0b1a3c", "#1f4287", "#3b78b5", "#7fb2cf", "#c5dbe0", "#f4f1e4")
_DIFFERENCE = ("#10101c", "#3a1450", "#7d1d5a", "#c13a45", "#ee8135", "#fbe57b")


def _ramp(stops: tuple[str, ...]) -> bytes:
    """256 colours, three bytes each, evenly between the stops; their lightness rises all the way."""
    points = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops], dtype=np.float64)
    at = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(at, np.arange(len(stops)), points[:, i]) for i in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()


VALUE = _ramp(_VALUE)
"""Of a value: dark is low."""

DIFFERENCE = _ramp(_DIFFERENCE)
"""Of |difference|: dark is none."""
