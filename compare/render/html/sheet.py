"""A sheet on which a chart is drawn: its tables of figures, and how all charts of the page look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import vl_convert

from layerdiff.compare.render.html.colours import LINE, MUTED
from layerdiff.compare.render.html.svg import trimmed

__all__ = ["Sheet", "drawn"]

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_AXIS = {
    "labelColor": MUTED,
    "titleColor": MUTED,
    "domainColor": LINE,
    "tickColor": LINE,
    "labelFontSize": 10,
    "titleFontSize": 11,
    "titleFontWeight": "normal",
}


class Sheet:
    """Figures go on it first; charts name them, so that Altair does not copy them again and again."""

    def __init__(self) -> None:
        self._tables: dict[str, list[dict[str, Any]]] = {}

    def table(self, rows: Sequence[dict[str, Any]]) -> Any:
        """Put figures on the sheet, and get the name of them that a chart takes as its data."""
        name = f"t{len(self._tables)}"
        self._tables[name] = list(rows)
        return alt.NamedData(name=name)

    def content(self, chart: Any, *, padding: int = 4) -> dict[str, Any]:
        """The chart with the sheet's figures in Vega-Lite's words."""
        whole = chart.configure(font=_FONT, aria=False, padding=padding, background="#ffffff")
        whole = whole.configure_axis(**_AXIS).configure_view(stroke=None)
        # A chart that is not valid cannot be drawn either, and to check it takes longer than to draw it.
        content: dict[str, Any] = whole.to_dict(validate=False)
        return {**content, "datasets": self._tables}


def drawn(content: dict[str, Any], *, stretched: bool = False) -> str:
    """A chart as SVG for the page; see `trimmed`."""
    return _drawn(json.dumps(content), stretched)


@lru_cache(maxsize=32)
def _drawn(content: str, stretched: bool) -> str:
    # The language that this Altair speaks: v6.1.0 is 6.1.
    language = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    return trimmed(vl_convert.vegalite_to_svg(content, vl_version=language), stretched=stretched)
