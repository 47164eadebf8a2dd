"""The charts of the page, drawn by Altair when it is written: SVG that needs no script and no network.

Altair and what draws for it take a second to import; only who writes a page imports this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import altair as alt

from layerdiff.compare.evidence.records import Histogram
from layerdiff.compare.render.html.colours import BAND, BLUE, FAULT, INHERITED, INK, MUTED, SAME, UNJUDGED
from layerdiff.compare.render.html.depth import Panel, panel
from layerdiff.compare.render.html.sheet import Sheet, drawn
from layerdiff.compare.render.html.stages import stages
from layerdiff.compare.result import LayerResult, Report

__all__ = ["depth_charts", "histogram_chart", "ribbon"]

_OF_STATUS = {"same": SAME, "fault": FAULT, "missing": FAULT, "inherited": INHERITED, "unjudged": UNJUDGED}
_WIDE, _NARROW = 1068, 298
"""Pixels of a panel, without its axis."""
_MARGIN = 0.4
"""Decades above and below everything."""
_LABELLED = 7.0
"""Pixels that a letter of a stage's name takes."""
_LONGEST_NAME = 24


def depth_charts(report: Report, links: Sequence[str]) -> tuple[str, str]:
    """Error by depth in allowances on a log scale: a panel for each precision, one above the other; SVG.

    Args:
        report: settled.
        links: for each layer where a click on it leads.

    Returns:
        The chart for a wide page, and for a narrow one; both empty where nothing was compared.
    """
    found = [one for dtype in _dtypes(report.layers) if (one := panel(report.layers, dtype)) is not None]
    if not found:
        return "", ""
    sheet = Sheet()
    chart = alt.vconcat(*[_panel(sheet, report, one, links, first=i == 0) for i, one in enumerate(found)], spacing=14)
    content = sheet.content(chart)
    wide, narrow = (_as_wide_as(content, report.layers, found[0].top + _MARGIN, width) for width in (_WIDE, _NARROW))
    return drawn(wide), drawn(narrow)


def ribbon(layers: Sequence[LayerResult]) -> str:
    """All layers from first to last as one bar, coloured by verdict; SVG, to be stretched over its room."""
    if not layers:
        return ""
    rows, sheet = [], Sheet()
    for status, group in groupby(layers, key=lambda layer: layer.status):
        places = [layer.index for layer in group]
        rows.append({"x": places[0], "x2": places[-1] + 1, "status": status})
    chart = (
        alt.Chart(sheet.table(rows))
        .mark_rect()
        .encode(
            x=alt.X("x:Q").scale(domain=[0, len(layers)], nice=False).axis(None),
            x2="x2:Q",
            color=alt.Color("status:N").scale(domain=list(_OF_STATUS), range=list(_OF_STATUS.values())).legend(None),
        )
        .properties(width=max(len(layers), 1), height=10)
    )
    return drawn(sheet.content(chart, padding=0), stretched=True)


def histogram_chart(found: Histogram) -> str:
    """How many elements lie how many allowances away: bars over half decades, the allowance as a line; SVG."""
    if not found.counts:
        return ""
    edges = [math.log10(edge) for edge in found.edges]
    rows = [
        {"x": low, "x2": high, "count": count, "none": 0, "beyond": "yes" if low >= -1e-9 else "no"}
        for low, high, count in zip(edges[:-1], edges[1:], found.counts, strict=True)
        if count
    ]
    low, high = min(-1.0, math.floor(edges[0])), max(1.0, math.ceil(edges[-1]))
    step = max(1, round((high - low) / 8))
    ticks = [t for t in range(math.ceil(low), math.floor(high) + 1) if t % step == 0]
    x = alt.X("x:Q").scale(domain=[low, high], nice=False).axis(values=ticks, labelExpr=_POWER, grid=False)
    sheet = Sheet()
    bars = (
        alt.Chart(sheet.table(rows))
        .mark_rect(stroke="#ffffff", strokeWidth=0.6)
        .encode(
            x=x.title("error, in allowances"),
            x2="x2:Q",
            y=alt.Y("count:Q")
            .scale(type="symlog")
            .axis(values=_counts(found), labelExpr=_COUNT, grid=False, minExtent=36, titlePadding=6)
            .title("elements"),
            y2="none:Q",
            color=alt.Color("beyond:N").scale(domain=["no", "yes"], range=[BLUE, FAULT]).legend(None),
        )
    )
    return drawn(sheet.content(alt.layer(bars, _rule_at_allowance(sheet, "x:Q")).properties(width=400, height=150)))


_COUNT = "datum.value < 1000 ? datum.value : '1e+' + round(log(datum.value) / LN10)"


def _counts(found: Histogram) -> list[int]:
    """Ticks for numbers of elements: none, and powers of ten, four at most."""
    most = int(math.log10(max(*found.counts, 1)))
    step = max(1, math.ceil(most / 3))
    return [0, *(10**power for power in range(most, -1, -step))]


_POWER = "datum.value == 0 ? '1' : '1e' + (datum.value > 0 ? '+' : '') + datum.value"


def _panel(sheet: Sheet, report: Report, found: Panel, links: Sequence[str], *, first: bool) -> Any:
    count = len(report.layers)
    bottom, top = found.bottom - _MARGIN, found.top + _MARGIN
    y = alt.Y("y:Q").scale(domain=[bottom, top], nice=False).axis(_axis(found)).title(found.dtype)
    x = alt.X("x:Q").scale(domain=[-0.5, count - 0.5], nice=False).axis(None)
    beyond = [layer.index for layer in report.layers if layer.status in {"fault", "missing"}]
    base = alt.Chart(sheet.table(found.points)).encode(x=x, y=y)
    colour = {"propagated": INHERITED, "activations": SAME, "dense": BLUE}
    layers = [
        _bands(sheet, report.layers, bottom, top, x, y),
        alt.Chart(sheet.table([{"x": i} for i in beyond])).mark_rule(color=FAULT, opacity=0.35).encode(x=x),
        _rule_at_allowance(sheet, "y:Q"),
        base.transform_filter("datum.probe == 'propagated'")
        .mark_line(color=colour["propagated"], strokeWidth=1.6, strokeJoin="round", interpolate="step")
        .encode(detail="run:N"),
        *(
            base.transform_filter(f"datum.probe == '{probe}'").mark_point(
                filled=probe == "activations", color=colour[probe], size=12 if probe == "activations" else 30,
                strokeWidth=0.9, opacity=1, shape="circle" if probe == "activations" else "diamond",
            )
            for probe in ("dense", "activations")
        ),
        _crosses(sheet, report, found, links, x, y),
    ]  # fmt: skip
    if first:
        layers.append(_names(x, y))
    return alt.layer(*layers).properties(height=132)


def _bands(sheet: Sheet, layers: Sequence[LayerResult], bottom: float, top: float, x: Any, y: Any) -> Any:
    """Every other stage is shaded."""
    found = stages([layer.layer for layer in layers])[1::2]
    rows = [{"x": one.start - 0.5, "x2": one.stop - 0.5, "y": bottom, "y2": top} for one in found]
    return alt.Chart(sheet.table(rows)).mark_rect(color=BAND).encode(x=x, x2="x2:Q", y=y, y2="y2:Q")


def _names(x: Any, y: Any) -> Any:
    """What the stages are called, above the first panel; see `_as_wide_as`."""
    base = alt.Chart(alt.NamedData(name="names"))
    return base.mark_text(dy=-9, fontSize=11, color=MUTED, clip=False).encode(x=x, y=y, text=alt.Text("name:N"))


def _as_wide_as(content: dict[str, Any], layers: Sequence[LayerResult], top: float, width: int) -> dict[str, Any]:
    """The panels, so many pixels wide, with the names of as many stages as there is room for."""
    rows, free, scale = [], 0.0, width / len(layers)
    for one in stages([layer.layer for layer in layers]):
        half = len(one.name) * _LABELLED / 2
        middle = min(max((one.start + one.stop) / 2 * scale, half), width - half)
        if middle - half >= free and len(one.name) <= _LONGEST_NAME:
            rows.append({"x": middle / scale - 0.5, "y": top, "name": one.name})
            free = middle + half + 4
    panels = [{**one, "width": width} for one in content["vconcat"]]
    return {**content, "vconcat": panels, "datasets": {**content["datasets"], "names": rows}}


def _crosses(sheet: Sheet, report: Report, found: Panel, links: Sequence[str], x: Any, y: Any) -> Any:
    """A cross on every layer at fault, at its worst by itself, or else end to end, that leads to it."""
    rows = []
    for layer in report.layers:
        heights = {p["probe"]: p["y"] for p in found.points if p["x"] == layer.index}
        alone = [heights[probe] for probe in ("activations", "dense") if probe in heights]
        if layer.status == "fault" and heights:
            height = max(alone or heights.values())
            rows.append({"x": layer.index, "y": height, "link": "#" + links[layer.index]})
    return (
        alt.Chart(sheet.table(rows))
        .mark_point(shape="cross", size=90, filled=True, color=FAULT, angle=45, opacity=1)
        .encode(x=x, y=y, href="link:N")
    )


def _axis(found: Panel) -> alt.Axis:
    step = max(1, round((found.high - found.low) / 5))
    values: list[float] = [float(v) for v in range(found.low, found.high + 1) if v % step == 0]
    if found.zero:
        values.append(found.bottom)
    if found.unbounded:
        values.append(found.top)
    words = f"datum.value <= {found.low - 0.5} ? '0' : datum.value >= {found.high + 0.5} ? '∞' : {_POWER}"
    return alt.Axis(values=values, labelExpr=words, grid=False, titlePadding=8, minExtent=38)


def _rule_at_allowance(sheet: Sheet, channel: str) -> Any:
    rule = alt.Chart(sheet.table([{channel[0]: 0}])).mark_rule(color=INK, strokeDash=[5, 3], strokeWidth=1)
    return rule.encode(**{channel[0]: channel})


def _dtypes(layers: Sequence[LayerResult]) -> list[str]:
    return list(dict.fromkeys(m.dtype for layer in layers for m in layer.measures))
