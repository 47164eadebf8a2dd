"""How fast the fused NumPy network is, beside torch, ONNX Runtime and bare matrix products; docs/speed.md.

    python benchmarks/speed.py             the tables
    python benchmarks/speed.py --growth    the curves too: batch, size of the picture, depth; time and memory

Beside it: slow.py has those who take their time, others.py the other architectures, learning.py a training step,
judging.py what a judgement costs.

All contestants run in turns in one process, so that what disturbs the machine disturbs all of them. Where an aim of
docs/speed.md is not reached, the table says so.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from contestants import Network, onnx_file
from growth import grown
from interleaved import Timed, in_turn
from pages import write_figures, write_part
from peaks import peaks

from layerdiff.handwritten.fused import Tricks

PAGE = "speed.md"
TORCH, LAST, FOLDED = "torch eager", "torch, channels last", "torch, folded, channels last"
ORT, FUSED, BARE, TEXTBOOK = "ONNX Runtime", "fused NumPy", "one plain product a convolution", "NumPy, textbook"
KEPT, KEPT_PLAIN = "NumPy, every layer kept", "NumPy, every layer kept, no Winograd"


@dataclass(frozen=True)
class Case:
    """A batch and a number of threads."""

    batch: int
    threads: int

    def __str__(self) -> str:
        return f"batch {self.batch}, threads: {self.threads}"


CASES = (Case(1, 2), Case(1, 1), Case(8, 2))

# The greatest ratio of the first to the second that is aimed at, in each case where there is one.
AIMS: Mapping[tuple[str, str], Mapping[Case, float]] = {
    (FUSED, TORCH): {Case(1, 2): 0.75, Case(1, 1): 0.70, Case(8, 2): 0.65},
    (FUSED, ORT): {Case(1, 2): 1.10, Case(1, 1): 1.0, Case(8, 2): 1.0},
    (FUSED, BARE): {Case(1, 1): 0.95, Case(1, 2): 1.05},
    (KEPT, TORCH): {Case(1, 2): 1.15, Case(8, 2): 1.0},
}


def raced(case: Case, onnx: Path, rounds: int) -> dict[str, Timed]:
    """Everyone's times for one case."""
    network = Network("resnet50", (case.batch, 3, 224, 224), case.threads)
    contestants = {
        TORCH: network.torch_eager(),
        LAST: network.torch_channels_last(),
        FOLDED: network.torch_fused(),
        ORT: network.onnxruntime(onnx),
        FUSED: network.fused(),
        KEPT: network.kept(),
        KEPT_PLAIN: network.kept(winograd=False),
        TEXTBOOK: network.textbook(),
        BARE: network.products(),
    }
    return in_turn(contestants, rounds=rounds)


def told(case: Case, times: Mapping[str, Timed]) -> str:
    """A case as a table."""
    lines = [f"**{str(case).capitalize()}**\n", "| | median ms | quartiles | of torch eager |", "|---|---:|---:|---:|"]
    for name, one in times.items():
        low, high = one.quartiles
        lines.append(f"| {name} | {one.median:.1f} | {low:.1f}, {high:.1f} | {one.ratio(times[TORCH]):.2f} |")
    return "\n".join(lines)


def ideas(rounds: int) -> dict[str, Timed]:
    """The fused network without each of its ideas in turn, batch 1, one thread."""
    network = Network("resnet50", (1, 3, 224, 224), 1)
    without: dict[str, Any] = {name: "never" if name == "blocked" else False for name in Tricks().names()}
    contestants = {"all": network.fused()} | {
        f"without {name}": network.fused(Tricks(**{name: off})) for name, off in without.items()
    }
    return in_turn(contestants, rounds=rounds)


def errors(batch: int) -> dict[str, float]:
    """How far logits are from those of float64, at most, in units of the largest."""
    network = Network("resnet50", (batch, 3, 224, 224), 2)
    exact = network.exact()
    runs = {TORCH: network.torch_eager(), FUSED: network.fused()}
    return {name: float(np.abs(run() - exact).max() / np.abs(exact).max()) for name, run in runs.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--growth", action="store_true", help="also the curves")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    figures: dict[str, Any] = {}
    parts, aims = [], []
    with tempfile.TemporaryDirectory() as folder:
        onnx = onnx_file("resnet50", Path(folder))
        for case in CASES:
            times = raced(case, onnx, asked.rounds if case.batch == 1 else max(asked.rounds // 2, 2))
            parts.append(told(case, times))
            print(parts[-1], flush=True)
            figures[str(case)] = {name: one.milliseconds for name, one in times.items()}
            aims += [
                (f"{one} / {other}, {case}", times[one].ratio(times[other]), most[case])
                for (one, other), most in AIMS.items() if case in most
            ]  # fmt: skip
    off, memory = errors(1), peaks()
    aims.append(("logit error / torch's", off[FUSED] / off[TORCH], 1.5))
    aims.append(("peak memory / torch's", memory[FUSED] / memory[TORCH], 0.6))
    worth = ideas(asked.rounds)
    figures["ideas"] = {one: timed.milliseconds for one, timed in worth.items()}
    figures |= {"logit error": off, "peak memory in MB": memory}
    rows = [f"| {what} | {ratio:.2f} | {most:.2f} | {_met(ratio, most)} |" for what, ratio, most in aims]
    write_part(PAGE, "aims", "\n".join(("| ratio, median | is | aim, at most | |", "|---|---:|---:|---|", *rows)))
    write_part(PAGE, "cases", "\n\n".join(parts))
    lines = [f"| {name} | {one.median:.1f} | {one.ratio(worth['all']):.2f} |" for name, one in worth.items()]
    write_part(PAGE, "ideas", "\n".join(("| batch 1, one thread | median ms | of all |", "|---|---:|---:|", *lines)))
    if asked.growth:
        figures["growth"] = grown()
    write_figures("speed", figures)
    print("\n".join(rows))


def _met(ratio: float, most: float) -> str:
    return "" if ratio <= most else "not reached"


if __name__ == "__main__":
    main()
