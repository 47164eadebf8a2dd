"""How time grows with the batch, the picture and the depth: the curves of docs/speed.md."""

from __future__ import annotations

from typing import Any

from contestants import Network
from interleaved import in_turn
from matplotlib.figure import Figure
from pages import DOCS

__all__ = ["grown"]

BATCHES = (1, 2, 4, 8, 16, 32)
SIZES = (96, 160, 224, 320, 448)
DEPTHS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
CURVES = ("torch eager", "fused NumPy", "one plain product a convolution")
STYLES = ("C0o-", "C1s-", "C7^--")


def grown() -> dict[str, Any]:
    """Medians of three rounds in milliseconds, two threads, of every point of three curves; draws docs/speed.png."""
    axes_found = {
        "images in a batch, 224x224": {n: _medians("resnet50", (n, 3, 224, 224)) for n in BATCHES},
        "pixels along a side, batch 1": {side: _medians("resnet50", (1, 3, side, side)) for side in SIZES},
        "layers, 224x224, batch 1": {int(name[6:]): _medians(name, (1, 3, 224, 224)) for name in DEPTHS},
    }
    _draw(axes_found)
    return {name: {str(point): times for point, times in curve.items()} for name, curve in axes_found.items()}


def _medians(name: str, shape: tuple[int, int, int, int]) -> dict[str, float]:
    network = Network(name, shape, 2)
    runs = dict(zip(CURVES, (network.torch_eager(), network.fused(), network.products()), strict=True))
    return {one: timed.median for one, timed in in_turn(runs, rounds=3).items()}


def _draw(curves: dict[str, dict[int, dict[str, float]]]) -> None:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, (label, points) in zip(figure.subplots(1, 3), curves.items(), strict=True):
        for name, style in zip(CURVES, STYLES, strict=True):
            axes.plot(list(points), [times[name] for times in points.values()], style, label=name, markersize=4)
        axes.set(xlabel=label, ylabel="ms", xscale="log", yscale="log")
        axes.set_xticks(list(points), [str(point) for point in points])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(DOCS / "speed.png", dpi=110)
