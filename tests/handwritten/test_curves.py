"""Curves: the picture shows the numbers of the history, several trainings in one."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from layerdiff.handwritten.training import Epoch, History, draw_curves, save_curves

FIRST = History(tuple(Epoch(i, 0.1, 2.0 / i, 1 - 0.8 / i, 2.2 / i, 1 - 0.9 / i) for i in range(1, 6)))
SECOND = History((Epoch(1, 0.1, 1.5, 0.3, 1.6, 0.25),))


def test_the_curves_are_the_histories():
    """Left are the losses, right the accuracies, dashed of learning and solid of validation, a colour for each run."""
    left, right = draw_curves({"one": FIRST, "other": SECOND}).axes

    for axes, kind in ((left, "loss"), (right, "accuracy")):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", kind)
        assert [line.get_label() for line in axes.lines] == [
            "one, learning",
            "one, validation",
            "other, learning",
            "other, validation",
        ]
        assert [line.get_linestyle() for line in axes.lines] == ["--", "-", "--", "-"]
        assert [line.get_color() for line in axes.lines] == ["C0", "C0", "C1", "C1"]
        for line, history, name in zip(
            axes.lines, (FIRST, FIRST, SECOND, SECOND), (kind, f"validation_{kind}") * 2, strict=True
        ):
            np.testing.assert_array_equal([epoch.number for epoch in history.epochs], line.get_xdata())
            np.testing.assert_array_equal([getattr(epoch, name) for epoch in history.epochs], line.get_ydata())


def test_the_picture_is_a_png(tmp_path):
    """A PNG of 1200x480 is written in which lines can be seen, the same bytes for the same history."""
    save_curves(tmp_path / "a.png", {"one": FIRST})
    save_curves(tmp_path / "b.png", {"one": FIRST})
    save_curves(tmp_path / "c.png", {"one": SECOND})
    pictures = [(tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png")]

    assert pictures[0] == pictures[1] != pictures[2]
    with Image.open(io.BytesIO(pictures[0])) as image:
        assert (image.format, image.size) == ("PNG", (1200, 480))
        blue = (np.asarray(image.convert("RGB")) == (31, 119, 180)).all(axis=2)
    assert blue[:, :600].sum() > 500
    assert blue[:, 600:].sum() > 500


def test_nothing_to_draw_is_refused():
    """No runs at all, or runs without an epoch, all named, are refused."""
    with pytest.raises(ValueError, match="curves: nothing to draw, got no runs without an epoch"):
        draw_curves({})
    with pytest.raises(ValueError, match="got 'a', 'b' without an epoch, expected an epoch or more of each"):
        draw_curves({"a": History(), "one": FIRST, "b": History()})


def test_unusable_places_are_refused(tmp_path):
    """Another ending than .png, and a folder that is not there, are refused in words."""
    with pytest.raises(ValueError, match=r"curves\.svg: unusable name for curves, got '\.svg', expected '\.png'"):
        save_curves(tmp_path / "curves.svg", {"one": FIRST})
    with pytest.raises(ValueError, match="the curves cannot be written, got No such file or directory, expected"):
        save_curves(tmp_path / "none" / "curves.png", {"one": FIRST})


def test_without_matplotlib_it_is_said(monkeypatch):
    """Where matplotlib is not installed there is no traceback of an import, but a sentence."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match="curves: matplotlib is not there, got an ImportError") as error:
        draw_curves({"one": FIRST})

    assert error.value.__notes__ == ['help: pip install "layerdiff[learn]"']
