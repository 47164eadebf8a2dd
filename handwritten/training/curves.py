"""Loss and accuracy over the epochs, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves", "save_curves"]


def save_curves(path: Path, runs: Mapping[str, History]) -> None:
    """Saves the curves of one or several trainings as a PNG of 1200x480 pixels.

    Args:
        path: the file, ending in `.png`.
        runs: the histories by what to call them.

    Raises:
        ValueError: nothing to draw, another ending, a place that cannot be written to, or no matplotlib.
    """
    if path.suffix.lower() != ".png":
        raise refusal(
            f"{path}: unusable name for curves, got {path.suffix!r}, expected '.png'", help="only PNG is made"
        )
    picture = io.BytesIO()
    draw_curves(runs).savefig(picture, format="png", metadata={"Software": None})
    try:
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise refusal(
            f"{path}: the curves cannot be written, got {error.strerror}, expected a writable place",
            help="does the folder exist?",
        ) from error


def draw_curves(runs: Mapping[str, History]) -> Figure:
    """Draws loss on the left and accuracy on the right: dashed while learning, solid in validation, a colour a run.

    Args:
        runs: the histories by what to call them.

    Raises:
        ValueError: no runs, runs without an epoch (all are named), or no matplotlib.
    """
    empty = [name for name, history in runs.items() if not history.epochs]
    if empty or not runs:
        raise refusal(
            f"curves: nothing to draw, got {', '.join(map(repr, empty)) if empty else 'no runs'} without an epoch, "
            "expected an epoch or more of each",
            help="train first",
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise refusal(
            "curves: matplotlib is not there, got an ImportError, expected it to be installed",
            help='pip install "layerdiff[learn]"',
        ) from error
    figure = Figure(figsize=(12, 4.8), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (name, history) in enumerate(runs.items()):
        colour = f"C{number % 10}"
        _curves(left, name, history, "loss", colour)
        _curves(right, name, history, "accuracy", colour)
    for axes, kind in ((left, "loss"), (right, "accuracy")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(kind)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def _curves(axes: Axes, name: str, history: History, kind: str, colour: str) -> None:
    numbers = [epoch.number for epoch in history.epochs]
    learning = [getattr(epoch, kind) for epoch in history.epochs]
    validation = [getattr(epoch, f"validation_{kind}") for epoch in history.epochs]
    axes.plot(numbers, learning, color=colour, linestyle="--", marker=".", label=f"{name}, learning")
    axes.plot(numbers, validation, color=colour, marker=".", label=f"{name}, validation")
