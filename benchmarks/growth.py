"""How time and memory grow with the batch, the picture and the depth: the curves of docs/speed.md."""

from __future__ import annotations

from typing import Any

from contestants import Network
from interleaved import in_turn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from pages import DOCS
from peaks import FUSED, TORCH, peaks

__all__ = ["grown"]

BATCHES = (1, 2, 4, 8, 16, 32)
SIZES = (96, 160, 224, 320, 448)
DEPTHS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
BARE = "one plain product a convolution"
STYLES = {TORCH: "C0o-", FUSED: "C1s-", BARE: "C7^--"}

Curve = dict[int, dict[str, dict[str, float]]]


def grown() -> dict[str, Any]:
    """Milliseconds (medians of three rounds, two threads) and megabytes at every point; draws docs/speed.png."""
    curves: dict[str, Curve] = {
        "images in a batch, 224x224": {n: _point("resnet50", (n, 3, 224, 224)) for n in BATCHES},
        "pixels along a side, batch 1": {side: _point("resnet50", (1, 3, side, side)) for side in SIZES},
        "layers, 224x224, batch 1": {int(name[6:]): _point(name, (1, 3, 224, 224)) for name in DEPTHS},
    }
    _draw(curves)
    return {name: {str(point): found for point, found in curve.items()} for name, curve in curves.items()}


def _point(name: str, shape: tuple[int, int, int, int]) -> dict[str, dict[str, float]]:
    network = Network(name, shape, 2)
    runs = dict(zip(STYLES, (network.torch_eager(), network.fused(), network.products()), strict=True))
    times = {one: timed.median for one, timed in in_turn(runs, rounds=3).items()}
    return {"ms": times, "MB": peaks(name, shape)}


def _draw(curves: dict[str, Curve]) -> None:
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    rows = figure.subplots(2, 3)
    for column, (label, curve) in enumerate(curves.items()):
        for row, unit in enumerate(("ms", "MB")):
            _draw_one(rows[row][column], curve, unit)
        rows[1][column].set_xlabel(label)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(DOCS / "speed.png", dpi=110)


def _draw_one(axes: Axes, curve: Curve, unit: str) -> None:
    for name, style in STYLES.items():
        if all(name in found[unit] for found in curve.values()):
            axes.plot(list(curve), [found[unit][name] for found in curve.values()], style, label=name, markersize=4)
    axes.set(ylabel=unit, xscale="log", yscale="log")
    axes.set_xticks(list(curve), [str(point) for point in curve])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.grid(alpha=0.3)
