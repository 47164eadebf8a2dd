"""What a comparison costs: capture and judgement of a ResNet-50 against the two plain forwards, in one process.

    python benchmarks/cost.py                 a few minutes on two cores
    python benchmarks/cost.py --rounds 3      for a look

Batch 1, 224x224, float32 and float64, end to end and both probes. Forwards and comparisons take turns, so that a
machine that slows down slows both; the medians are compared, on the clock and in seconds of all cores together. The
plain torch candidate (torchvision's own code, a copy of the weights) must cost at most ten times the two forwards.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pages import write_figures, write_part

from layerdiff import capture, load_image, load_weights, preprocess, state_dict, torchvision_model
from layerdiff.compare.check import compare_with
from layerdiff.handwritten import numpy_resnet, torch_resnet

LIMIT = 10.0
Array = np.ndarray[Any, Any]


def candidates(weights: Any) -> dict[str, Any]:
    """The networks that are judged, by name."""
    plain = copy.deepcopy(torchvision_model("resnet50", weights))
    twin = torch_resnet.build("resnet50").eval().requires_grad_(False)
    twin.load_state_dict(state_dict(weights))
    pure = numpy_resnet.build("resnet50")
    pure.load_state_dict(weights.state)
    return {"plain torch": plain, "handwritten torch": twin, "handwritten NumPy": pure}


def forward(network: Any, x: Array) -> None:
    """One plain forward pass."""
    if isinstance(network, torch.nn.Module):
        with torch.no_grad():
            network(torch.from_numpy(x))
    else:
        network(x)


def timed(task: Callable[[], object]) -> tuple[float, float]:
    """How long a task took: on the clock, and on all cores together."""
    clock, cores = time.perf_counter(), time.process_time()
    task()
    return time.perf_counter() - clock, time.process_time() - cores


def cost(expected: Any, actual: Any, x: Array, rounds: int) -> dict[str, list[float]]:
    """Medians of the two forwards and of capture and judgement, clock and cores.

    Raises:
        SystemExit: the verdict is not `same`: what was measured is not what was meant.
    """
    trace = capture(expected, x)

    def both() -> None:
        forward(expected, x)
        forward(actual, x)

    def judged() -> None:
        report = compare_with(trace, actual, x)
        if report.verdict != "same" or not all(len(layer.measures) == 6 for layer in report.layers):
            raise SystemExit(f"{report.verdict}: this measures nothing")

    def whole() -> None:
        judged()
        capture(expected, x)

    both(), judged()
    forwards, judgements, wholes = [], [], []
    for _ in range(rounds):
        forwards += [timed(both) for _ in range(3)]
        judgements.append(timed(judged))
        forwards += [timed(both) for _ in range(3)]
        wholes.append(timed(whole))
    found = {"forwards": forwards, "judged": judgements, "with the reference": wholes}
    return {name: [float(value) for value in np.median(times, axis=0)] for name, times in found.items()}


def table(figures: dict[str, dict[str, list[float]]]) -> str:
    """The costs as Markdown."""
    lines = [
        "| candidate | two forwards | captured and judged | times | of all cores | and the reference captured |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in figures.items():
        two, one, whole = found["forwards"], found["judged"], found["with the reference"]
        lines.append(
            f"| {name} | {two[0]:.2f} s | {one[0]:.2f} s | {one[0] / two[0]:.1f} | {one[1] / two[1]:.1f} "
            f"| {whole[0] / two[0]:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write; exit 1 where the plain candidate costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    weights = load_weights("synthetic", "resnet50")
    expected = torchvision_model("resnet50", weights)
    x = np.ascontiguousarray(preprocess([load_image(None)], architecture="resnet50"))
    figures = {name: cost(expected, actual, x, options.rounds) for name, actual in candidates(weights).items()}
    text = f"{table(figures)}\n\n{torch.get_num_threads()} threads; at most {LIMIT:g} times for plain torch."
    print(text)
    if options.rounds >= 7:
        write_part("measured.md", "cost", text)
        write_figures("cost", {"rounds": options.rounds, "threads": torch.get_num_threads(), "seconds": figures})
    plain = figures["plain torch"]
    raise SystemExit(plain["judged"][0] > LIMIT * plain["forwards"][0])


if __name__ == "__main__":
    main()
