"""The classroom: every example in full, and what it found, in docs/classroom.md and docs/measured/classroom.json.

    python benchmarks/classroom.py                    all of them
    python benchmarks/classroom.py --only LeNet-5     those with this in their name

An example runs as a learner runs it, in a process of its own. Where LAYERDIFF_SHARED names the folder of real data, the
runs on real data are done too; without it they are left out, and the page keeps what it has of them. Exit 1 where an
example fails or misses what it promises.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pages import DOCS, versions, write_figures, write_part

PAGE = "classroom.md"
ROOT = DOCS.parent
SHARED = "$LAYERDIFF_SHARED"


@dataclass(frozen=True)
class Run:
    """One run of one example.

    Attributes:
        name: of its part of the page, between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
        script: in examples/.
        arguments: its options; $LAYERDIFF_SHARED stands for the folder of real data.
        pictures: the folder in docs/classroom/ where its pictures go; empty for an example without any.
        at_least: what is promised: the least value of figures, each by its place, such as "accuracy/1000/median".
    """

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    pictures: str = ""
    at_least: Mapping[str, float] = field(default_factory=dict)


# An example's line here, and its part on the page: nothing else is needed.
RUNS = (
    Run(
        "edge detection",
        "edge_detection.py",
        pictures="edges",
        at_least={"equal/scipy.signal.correlate2d": 65_536, "equal/scipy.ndimage.correlate": 65_536},
    ),
    Run("shapes and counts", "patch_exercises.py"),
    Run("LeNet-5", "lenet_digits.py", pictures="lenet_digits"),
    Run(
        "LeNet-5 on MNIST",
        "lenet_digits.py",
        ("--data", f"{SHARED}/data/mnist"),
        pictures="lenet_mnist",
        at_least={"accuracy/1000/median": 0.87, "accuracy/8000/median": 0.975},
    ),
    Run("ResNet-18", "resnet18_digits.py", pictures="resnet18_digits"),
    Run(
        "ResNet-18 on MNIST",
        "resnet18_digits.py",
        ("--data", f"{SHARED}/data/mnist"),
        pictures="resnet18_mnist",
        # Half a point is one of the 200 test images: without shortcuts it is lower at all.
        at_least={"accuracy/with shortcuts/median": 0.88, "lead of the medians in points": 0.5},
    ),
    Run("parity check", "parity_check.py"),
    Run("hand signs", "hand_signs.py", pictures="hands_drawn"),
    Run(
        "hand signs on photos",
        "hand_signs.py",
        ("--data", f"{SHARED}/data/signs"),
        pictures="hands_photos",
        at_least={"test accuracy": 0.95, "twins/the NumPy twin against the trained network/same layers": 175},
    ),
    Run("ResNet-50 from nothing", "resnet50_from_nothing.py", ("--weights", "synthetic")),
    Run(
        "ResNet-50 from nothing, real weights",
        "resnet50_from_nothing.py",
        ("--weights", f"txt:{SHARED}/weights/resnet50_txt", "--photo", f"{SHARED}/data/photos/cat.jpg"),
    ),
)


def carried_out(run: Run, shared: str | None) -> dict[str, Any] | None:
    """Runs an example: its command, what it printed, its figures and its seconds; None if it failed."""
    options = [*run.arguments, *(("--output", f"docs/classroom/{run.pictures}") if run.pictures else ())]
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        real = [option.replace(SHARED, shared or "") for option in options]
        command = [sys.executable, f"examples/{run.script}", *real, "--figures", str(figures)]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            return None
        return {
            "command": " ".join(["python", f"examples/{run.script}", *options]),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "seconds": round(time.perf_counter() - start, 1),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "figures": json.loads(_nameless(figures.read_text(), shared)),
            "printed": _nameless(done.stdout, shared),
        }


def missed(run: Run, figures: Mapping[str, Any]) -> list[str]:
    """The promises of a run that its figures do not keep."""
    problems = []
    for place, least in run.at_least.items():
        value: Any = figures
        for key in place.split("/"):
            value = value[key]
        if not value >= least:
            problems.append(f"{run.name}: {place} is {value}, less than {least}")
    return problems


def part(found: Mapping[str, Any]) -> str:
    """What the page says of a run."""
    about = f"{found['date']}, {found['seconds']:g} s, threads: {found['threads']}, {found['versions']}"
    return f"`{found['command']}`\n\n```text\n{found['printed'].rstrip()}\n```\n\n{about}."


def record(name: str, found: Mapping[str, Any]) -> None:
    """Writes a run's part of the page, and its figures beside those of the other runs."""
    write_part(PAGE, name, part(found))
    path = DOCS / "measured" / "classroom.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else {}
    runs[name] = {key: value for key, value in found.items() if key != "printed"}
    write_figures("classroom", {"runs": {run.name: runs[run.name] for run in RUNS if run.name in runs}})


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="NAME", help="the runs with this in their name")
    options = parser.parse_args()
    shared = os.environ.get("LAYERDIFF_SHARED")
    chosen = [run for run in RUNS if options.only.lower() in run.name.lower()]
    if not chosen:
        raise SystemExit(f"no run is called {options.only}; there are {', '.join(run.name for run in RUNS)}")
    problems = []
    for run in chosen:
        if not shared and any(SHARED in argument for argument in run.arguments):
            print(f"{run.name}: left out, since LAYERDIFF_SHARED is not set")
            continue
        found = carried_out(run, shared)
        if found is None:
            problems.append(f"{run.name}: it failed")
            continue
        print(f"{run.name}\n\n{found['printed']}", flush=True)
        record(run.name, found)
        problems += missed(run, found["figures"])
    raise SystemExit("\n".join(problems) or 0)


def _nameless(text: str, shared: str | None) -> str:
    """The text without the folder of this machine."""
    return text.replace(shared, SHARED) if shared else text


if __name__ == "__main__":
    main()
