"""The main job for every architecture, size and batch, and for torchvision's real weights on real photos.

    python benchmarks/architectures.py            about half an hour on two cores
    python benchmarks/architectures.py --quick    ResNet-18, the odd size, batch 1

Each row is one `layerdiff run` in a process of its own, both networks, both precisions, all probes. The rows go into
docs/measured.md and docs/measured/architectures.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pages import write_figures, write_part

from layerdiff.compare.render.words import worst
from layerdiff.compare.saved import read_run
from layerdiff.reference import ARCHITECTURES


def settings(quick: bool) -> Iterator[tuple[str, list[str]]]:
    """A name and the options of each run."""
    for architecture in ("resnet18",) if quick else ARCHITECTURES:
        for size in ("225x193",) if quick else ("224x224", "225x193"):
            for batch in ("1",) if quick else ("1", "3"):
                options = ["--expected", f"torchvision:{architecture}", "--size", size, "--batch", batch]
                yield f"{architecture}, {size}, batch {batch}", [*options, "--weights", "synthetic"]
    shared = os.environ.get("LAYERDIFF_SHARED")
    if shared and not quick:
        for photo in sorted(Path(shared, "data", "photos").glob("*.jpg")):
            weights = ["--weights", f"txt:{shared}/weights/resnet50_txt", "--until", "layer2"]
            yield f"resnet50, V1 weights up to layer2, {photo.name}", [*weights, "--image", str(photo)]


def measure(name: str, options: list[str], output: Path) -> dict[str, Any]:
    """One run: its exit code and, for each network, how many layers were same and which was nearest its allowance."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "layerdiff", "run", *options, "--output", str(output)]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    row: dict[str, Any] = {"name": name, "exit": code, "seconds": round(time.perf_counter() - start, 1)}
    if code == 2:
        return row
    run = read_run(output)
    for report in run.reports:
        nearest = worst(report)
        same = sum(layer.status == "same" for layer in report.layers)
        twin = "torch" if "torch" in report.actual.partition(",")[0] else "numpy"
        row[twin] = {"same": same, "layers": len(report.layers), "worst": nearest}
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| run | exit | layers same: torch | NumPy | worst ratio: torch | NumPy |", "|---|---|---|---|---|---|"]
    for row in rows:
        twins = [row.get(twin) for twin in ("torch", "numpy")]
        same = [f"{twin['same']} of {twin['layers']}" if twin else "-" for twin in twins]
        nearest = [f"{twin['worst'][1]:.2f}, {twin['worst'][0]}" if twin and twin["worst"] else "-" for twin in twins]
        lines.append(f"| {row['name']} | {row['exit']} | " + " | ".join((*same, *nearest)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run all, print, write; exit 1 where anything is not same."""
    quick = "--quick" in sys.argv[1:]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, options in settings(quick):
            rows.append(measure(name, options, Path(folder, "run.json")))
            print(json.dumps(rows[-1]), flush=True)
    if not quick:
        write_part("measured.md", "architectures", table(rows))
        write_figures("architectures", {"rows": rows})
    raise SystemExit(any(row["exit"] for row in rows))


if __name__ == "__main__":
    main()
