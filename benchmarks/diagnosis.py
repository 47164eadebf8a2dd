"""What a diagnosis costs: a broken ResNet-50 judged and diagnosed, against the same network judged when it is right.

    python benchmarks/diagnosis.py               some minutes on two cores
    python benchmarks/diagnosis.py --rounds 1    for a look

Batch 1, 224x224, float32 and float64, one process; clean runs and diagnoses take turns, and medians are compared. The
clean run is what `layerdiff run` does with a candidate of torchvision's own layers: the first look, weights carried
over, capture, judgement, two images at once. Each diagnosis must cost at most twenty times that, and every cause must
be found but where the fault is one that nothing explains.
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
from torch import Tensor, nn

from layerdiff import capture, load_image, load_weights, preprocess, torchvision_model
from layerdiff.compare.foreign import judge_foreign

LIMIT = 20.0


def one_eps(network: Any) -> None:
    """One batch norm with another framework's eps."""
    network.layer3[2].bn2.eps = 1e-3


def every_eps(network: Any) -> None:
    """All of them."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3


def stride_on_1x1(network: Any) -> None:
    """ResNet v1."""
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)


def no_stem_relu(network: Any) -> None:
    """The stem without its activation."""
    network.relu = nn.Identity()


def own_statistics(network: Any) -> None:
    """Batch norms that normalise by the picture's own statistics."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None


def shortcut_and_eps(network: Any) -> None:
    """Two faults: a leaky ReLU, and a batch norm's eps."""
    network.layer2[1].relu = nn.LeakyReLU(0.1)
    network.layer4[1].bn3.eps = 1e-3


class Odd(nn.Conv2d):
    """A convolution that does what nobody thought of."""

    def forward(self, x: Tensor) -> Tensor:
        """The convolution, and something beside it."""
        out = super().forward(x)
        return out + 0.01 * torch.sin(7 * out).flip(1)


def unexplained(network: Any) -> None:
    """A 3x3 convolution on the largest maps that nothing explains."""
    conv = Odd(64, 64, 3, padding=1, bias=False)
    conv.load_state_dict(network.layer1[1].conv2.state_dict())
    network.layer1[1].conv2 = conv


FAULTS: dict[str, tuple[Callable[[Any], None], set[str]]] = {
    "eps of one batch norm": (one_eps, {"C1"}),
    "eps of all 53": (every_eps, {"C1"}),
    "stride on the 1x1 in three stages": (stride_on_1x1, {"A1"}),
    "no ReLU in the stem": (no_stem_relu, {"E1"}),
    "statistics of the batch in all 53": (own_statistics, {"K5"}),
    "a leaky ReLU and an eps": (shortcut_and_eps, {"E5", "C1"}),
    "a convolution nothing explains": (unexplained, {"U1"}),
}


def main() -> None:
    """Measure, print and write; exit 1 where a diagnosis costs more than it may, or does not find what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    weights = load_weights("synthetic", "resnet50")
    right = torchvision_model("resnet50", weights)
    x = np.ascontiguousarray(preprocess([load_image(None)], architecture="resnet50"))
    expected = capture(right, x)

    def judged(network: Any) -> tuple[float, Any]:
        start = time.perf_counter()
        report = judge_foreign(expected, network, x, weights=weights.state)
        return time.perf_counter() - start, report

    judged(copy.deepcopy(right))
    clean: list[float] = []
    lines = ["| fault | judged and diagnosed | times a clean run | found |", "|---|---|---|---|"]
    failed, figures = False, {}
    for name, (plant, codes) in FAULTS.items():
        network = copy.deepcopy(right)
        plant(network)
        times = []
        for _ in range(options.rounds):
            seconds, report = judged(copy.deepcopy(right))
            if report.verdict != "same":
                raise SystemExit(f"{report.verdict}: this measures nothing")
            clean.append(seconds)
            seconds, report = judged(network)
            times.append(seconds)
        found = {one.code for one in report.findings}
        figures[name] = (float(np.median(times)), sorted(found))
        failed |= found != codes
    base = float(np.median(clean))
    for name, (seconds, found_codes) in figures.items():
        lines.append(f"| {name} | {seconds:.1f} s | {seconds / base:.1f} | {', '.join(found_codes)} |")
        failed |= seconds > LIMIT * base
    below = f"A clean run: {base:.2f} s, {torch.get_num_threads()} threads; at most {LIMIT:g} times."
    text = "\n".join([*lines, "", below])
    print(text)
    if options.rounds >= 5:
        write_part("measured.md", "diagnosis", text)
        write_figures("diagnosis", {"clean": base, "seconds": figures, "threads": torch.get_num_threads()})
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
