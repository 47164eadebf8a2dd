"""Where the benchmarks put what they measured: a marked part of a page in docs, and the figures as JSON beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["DOCS", "versions", "write_figures", "write_part"]

DOCS = Path(__file__).resolve().parent.parent / "docs"


def write_part(page: str, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->` in docs/PAGE.

    Raises:
        SystemExit: the page has no such marks.
    """
    path = DOCS / page
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = path.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{path}: no {begin} and {end}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def write_figures(name: str, content: dict[str, Any]) -> None:
    """Write docs/measured/NAME.json, with the versions it was measured with."""
    folder = DOCS / "measured"
    folder.mkdir(exist_ok=True)
    text = json.dumps({"versions": versions(), **content}, indent=1, allow_nan=False)
    (folder / f"{name}.json").write_text(text + "\n")


def versions() -> str:
    """What computed."""
    return f"torch {torch.__version__}, numpy {np.__version__}, {torch.backends.cpu.get_cpu_capability()}"
