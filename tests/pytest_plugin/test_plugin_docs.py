"""docs/pytest.md is true: its example runs, and says what it is said to say."""

from __future__ import annotations

import re
from pathlib import Path

from plugin_kit import PLUGIN, in_session

from layerdiff.testing.known import read_known

PAGE = (Path(__file__).parents[2] / "docs" / "pytest.md").read_text()


BLOCKS = re.findall(r"^```(.*)\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
"""What follows the opening of each block, and its text."""


def test_the_example_fails_as_it_is_said(tmp_path):
    """Copied and run it fails with the lines on the page, for the differences that the page then lists as known."""
    for name in ("net.py", "test_net.py", "test_training.py", "known.toml"):
        (text,) = [text for kind, text in BLOCKS if kind.endswith(f" title={name}")]
        (tmp_path / name).write_text(text)

    found = in_session(tmp_path, "-p", "no:cacheprovider", *PLUGIN, "--layerdiff-report", "reports")

    shown = [line for kind, text in BLOCKS for line in text.splitlines() if not kind and line[0] != "$"]
    assert len(shown) == 3
    assert all(line in found.stdout.splitlines() for line in shown)
    failures = {name: text for name, (outcome, text) in found.tests.items() if outcome == "failure"}
    assert "J2" in failures.pop("test_my_step")
    assert list(failures) == ["test_mine_is_the_reference", "test_layers[bn1]"]
    assert len(list((tmp_path / "reports").iterdir())) == 3
    known = read_known(tmp_path / "known.toml")
    assert {one.test for one in known} == {f"test_net.py::{name.partition('[')[0]}" for name in failures}
    assert {(one.layer, one.code) for one in known} == {("bn1", "C1"), ("bn1", "")}
    assert all(": bn1: different: " in text and "[C1]\n" in text for text in failures.values())
