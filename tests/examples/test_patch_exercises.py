"""Example 2: the exercises and their published answers."""

from __future__ import annotations

import json

import patch_exercises


def test_the_answers_are_the_published_ones(show):
    """Every shape, count and small convolution has the figure that is set in the exercise."""
    _, figures = show(patch_exercises.command)

    assert figures["padding"] == ((1, 1), (1, 1))
    assert figures["shapes"] == {
        "same": {"patches": (27, 1024), "output": (1, 16, 32, 32), "parameters": 448},
        "valid": {"patches": (27, 900), "output": (1, 16, 30, 30), "parameters": 448},
        "valid, stride 2": {"patches": (27, 225), "output": (1, 16, 15, 15), "parameters": 448},
    }
    assert list(figures["by hand"].values()) == [
        [[25, 31], [43, 49]],
        [[20, 28, 44, 52]] * 3,
        [6, 8, 14, 16],
        [3.5, 5.5, 11.5, 13.5],
    ]


def test_the_answers_are_printed(show):
    """What is printed is what was computed, each exercise in one line."""
    printed, _ = show(patch_exercises.command)
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    for line in (
        "same (27, 1024) (1, 16, 32, 32) 448",
        "valid, stride 2 (27, 225) (1, 16, 15, 15) 448",
        "[[0, 1], [2, 3]] over 1 to 9 [[25, 31], [43, 49]]",
        "0 to 8 and 1 to 9, three filters of ones each [20, 28, 44, 52]",
        "1 to 16, the mean of each 2x2 [3.5, 5.5, 11.5, 13.5]",
    ):
        assert line in lines


def test_the_figures_can_be_kept_as_json(show, tmp_path):
    """`--figures` writes them."""
    show(patch_exercises.command, "--figures", tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text())["shapes"]["same"]["patches"] == [27, 1024]
