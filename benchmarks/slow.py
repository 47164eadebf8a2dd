"""Those who take their time: `onnx.reference`, convolution as tutorials write it, and the definition itself.

    python benchmarks/slow.py

The seven loops would take twenty minutes for a whole network, so they are timed on a part of the first convolution, and
what a network would take is that times its multiplications: said to be extrapolated, wherever it stands.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from contestants import Network, onnx_file, product_sizes, reference_evaluator
from interleaved import Timed, in_turn
from pages import write_figures, write_part

from layerdiff import torchvision_model
from layerdiff.handwritten.numpy_ops import conv2d

FUSED, REFERENCE, IM2COL = "fused NumPy", "onnx.reference", "textbook NumPy, im2col"
LOOPS = "seven loops, 12x12 pixels of conv1"
SIDE = 12
AIM = 15.0


def loops(network: Network) -> tuple[dict[str, Timed], int]:
    """The definition on the part of conv1 that gives `SIDE` rows and columns, and how many products that are."""
    weight = network.weights.state["conv1.weight"]
    crop = network.x[:1, :, : 2 * SIDE + 5, : 2 * SIDE + 5]
    found = in_turn({LOOPS: lambda: conv2d(crop, weight, stride=2, grade="loops")}, rounds=2)
    return found, SIDE * SIDE * weight.size


def main() -> None:
    """Measure, print, write."""
    network = Network("resnet50", (1, 3, 224, 224), 2)
    with tempfile.TemporaryDirectory() as folder:
        onnx = onnx_file("resnet50", Path(folder))
        contestants = {
            FUSED: network.fused(),
            IM2COL: network.textbook("im2col"),
            REFERENCE: reference_evaluator(onnx, network.x),
        }
        times = in_turn(contestants, rounds=5)
    own, products = loops(network)
    sizes = product_sizes(torchvision_model("resnet50", network.weights), network.shape)
    whole = own[LOOPS].median * sum(o * k * n for o, k, n in sizes) / products
    lines = ["| batch 1, two threads | median ms | of fused NumPy |", "|---|---:|---:|"]
    lines += [f"| {name} | {one.median:.0f} | {one.ratio(times[FUSED]):.1f} |" for name, one in times.items()]
    lines += [
        f"| {LOOPS} | {own[LOOPS].median:.0f} | |",
        f"| seven loops, extrapolated to all products | {whole:.0f} | {whole / times[FUSED].median:.0f} |",
        "",
        f"`onnx.reference` takes {times[REFERENCE].ratio(times[FUSED]):.1f} times as long as the fused network; "
        f"the aim is at least {AIM:g}.",
    ]
    text = "\n".join(lines)
    print(text)
    write_part("speed.md", "slow", text)
    write_figures("slow", {name: one.milliseconds for name, one in (times | own).items()} | {"products": products})


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
