"""Runs every example of the catalogue, and writes what they print and `docs/findings.md`.

To be run after a change to the catalogue or to a finding's title: `python benchmarks/findings.py`. What it writes is
kept true by `tests/compare/test_catalogue.py`; it ends with code 1, and names them, where examples fail.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from pathlib import Path

from layerdiff.compare.catalogue import CAUSES, prints
from layerdiff.compare.render import explain

ROOT = Path(__file__).parents[1]


def printed(example: str) -> str:
    """What an example prints."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(compile(example, "<example>", "exec"), {"__name__": "example"})
    return stream.getvalue().strip()


def main() -> int:
    """Run, write, and say which examples fail."""
    told, failed = {}, 0
    for code, cause in CAUSES.items():
        try:
            told[code] = printed(cause.example)
        except Exception as error:
            told[code] = cause.prints
            failed += 1
            print(f"{code}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
    path = ROOT / "compare" / "catalogue" / "prints.py"
    head = path.read_text().partition("PRINTS: ")[0]
    lines = "".join(f"    {json.dumps(code)}: {json.dumps(text, ensure_ascii=False)},\n" for code, text in told.items())
    path.write_text(f"{head}PRINTS: Mapping[str, str] = {{\n{lines}}}\n")
    for module in (prints, sys.modules["layerdiff.compare.catalogue"], explain):
        importlib.reload(module)
    (ROOT / "docs" / "findings.md").write_text(explain.render_page())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
