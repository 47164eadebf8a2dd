"""The ratios of docs/speed.md for other architectures than ResNet-50: reported, not promised.

python benchmarks/others.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from contestants import Network, onnx_file
from interleaved import Timed, in_turn
from pages import write_figures, write_part

NAMES = ("resnet18", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2")
TORCH, ORT, FUSED, BARE = "torch eager", "ONNX Runtime", "fused NumPy", "one plain product a convolution"


def raced(name: str, threads: int) -> dict[str, Timed]:
    """Everyone's times for one architecture, batch 1."""
    network = Network(name, (1, 3, 224, 224), threads)
    with tempfile.TemporaryDirectory() as folder:
        contestants = {
            TORCH: network.torch_eager(),
            ORT: network.onnxruntime(onnx_file(name, Path(folder))),
            FUSED: network.fused(),
            BARE: network.products(),
        }
        return in_turn(contestants, rounds=5)


def main() -> None:
    """Measure, print, write."""
    lines = [
        "| batch 1 | threads | fused ms | / torch eager | / ONNX Runtime | / plain products |",
        "|---|" + "---:|" * 5,
    ]
    figures = {}
    for name in NAMES:
        for threads in (2, 1):
            times = raced(name, threads)
            mine = times[FUSED]
            ratios = " | ".join(f"{mine.ratio(times[other]):.2f}" for other in (TORCH, ORT, BARE))
            lines.append(f"| {name} | {threads} | {mine.median:.1f} | {ratios} |")
            print(lines[-1], flush=True)
            figures[f"{name}, threads: {threads}"] = {one: timed.milliseconds for one, timed in times.items()}
    write_part("speed.md", "others", "\n".join(lines))
    write_figures("others", figures)


if __name__ == "__main__":
    main()
