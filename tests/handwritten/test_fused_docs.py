"""docs/speed.md is true: its example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "speed.md").read_text()


def test_the_example_of_the_page_runs():
    """It prints the plan: a line for each part of the network, none wider than a terminal."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("layer4.2") for line in lines)
    assert max(map(len, lines)) <= 80
