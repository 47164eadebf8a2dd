"""docs/speed.md is true: its examples run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "speed.md").read_text()


def test_the_examples_of_the_page_run():
    """One after the other, as a reader may take them; the first prints a plan, the last what is kept."""
    examples = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) == 3

    done = subprocess.run([sys.executable, "-c", "".join(examples)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("layer4.2") for line in lines)
    assert max(map(len, lines)) <= 80
