"""Where the time of `layerdiff run` goes: forwards, probes, allowances, metrics, capture, the report; docs/speed.md.

    python benchmarks/judging.py

The main job: ResNet-50 on a cat, both handwritten networks, both precisions, both probes. Imports are not counted, and
neither is making the weights. The unit is a forward pass of torchvision's network in float32, timed between the runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch
from pages import write_figures, write_part

from layerdiff import Run, load_weights, reference, run, torchvision_model
from layerdiff.compare import capture, drifting, expected, lane, playback
from layerdiff.compare.render.terminal import render_terminal
from layerdiff.compare.saved import run_to_json

WEIGHTS, FORWARDS, JUDGED_BY, REST = "weights", "forwards", "allowances and metrics", "the rest"
# The functions of each task by the modules in which they are called.
TASKS: Mapping[str, tuple[tuple[Any, str], ...]] = {
    WEIGHTS: ((reference, "load_weights"),),
    "capture": ((capture, "_record"),),
    FORWARDS: ((playback, "_called"),),
    "inputs of the dense probe": ((lane, "dense_inputs"),),
    JUDGED_BY: (
        *((expected, name) for name in ("allowance_of", "allowance_together", "noise", "drift")),
        *((drifting, name) for name in ("allowance_of", "noise", "drift")),
        *((lane, name) for name in ("measure", "equal", "same_bits")),
        (playback, "same_bits"),
    ),
}
AIMS = {"run / torch forwards": 60.0, "allowances and metrics / forwards": 0.5}


class Clock:
    """Seconds by task; what a task has another one do counts for that one."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def timed(self, task: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time counted for `task`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter() - start
                self.seconds[task] += took - self._inner.pop()
                self._inner[-1] += took

        return call


def judged() -> dict[str, float]:
    """Seconds of each task in one run of the main job, its report in two forms among them.

    Raises:
        SystemExit: the verdict is not `same`: what was measured is not what was meant.
    """
    clock = Clock()
    with ExitStack() as stack:
        for task, homes in TASKS.items():
            for module, name in homes:
                stack.enter_context(patch.object(module, name, clock.timed(task, getattr(module, name))))
        found = clock.timed(REST, run)("torch", "numpy", weights="synthetic")
        clock.timed("report", reported)(found)
    if found.verdict != "same":
        raise SystemExit(f"{found.verdict}: this measures nothing")
    return {task: clock.seconds[task] for task in (*TASKS, "report", REST) if task != WEIGHTS}


def reported(found: Run) -> None:
    """The forms that `layerdiff run --output` makes."""
    render_terminal(found)
    run_to_json(found)


def forwards(network: torch.nn.Module, x: torch.Tensor) -> float:
    """The median of the seconds of five forward passes, after one that is not counted."""
    times = []
    with torch.inference_mode():
        for _ in range(6):
            start = time.perf_counter()
            network(x)
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    network = torchvision_model("resnet50", load_weights("synthetic", "resnet50"))
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    twice = torchvision_model("resnet50", load_weights("synthetic", "resnet50")).double()
    judged()
    units, wide, runs = [], [], []
    for _ in range(rounds):
        units.append(forwards(network, x))
        wide.append(forwards(twice, x.double()))
        runs.append(judged())
    unit, seconds = statistics.median(units), {name: statistics.median(one[name] for one in runs) for name in runs[0]}
    ratios = {
        "run / torch forwards": statistics.median(
            sum(one.values()) / own for one, own in zip(runs, units, strict=True)
        ),
        "allowances and metrics / forwards": statistics.median(one[JUDGED_BY] / one[FORWARDS] for one in runs),
    }
    lines = ["| part | seconds | torch forwards |", "|---|---:|---:|"]
    lines += [f"| {name} | {one:.2f} | {one / unit:.0f} |" for name, one in seconds.items()]
    lines += [
        "",
        f"A torch forward takes {1e3 * unit:.0f} ms in float32 and {1e3 * statistics.median(wide):.0f} ms in float64, "
        f"with {torch.get_num_threads()} threads.",
        "",
        "| ratio, median | is | aim, at most | |",
        "|---|---:|---:|---|",
        *(f"| {what} | {is_:.3g} | {AIMS[what]:g} | {_met(is_, AIMS[what])} |" for what, is_ in ratios.items()),
    ]
    text = "\n".join(lines)
    print(text)
    write_part("speed.md", "judging", text)
    write_figures("judging", {"rounds": rounds, "torch forward": units, "float64": wide, "seconds": runs})


def _met(ratio: float, most: float) -> str:
    return "" if ratio <= most else "not reached"


if __name__ == "__main__":
    main()
