"""Peak resident memory of `layerdiff run`, against torchvision's own forward plus the twins' parameters.

    python benchmarks/memory.py

Every figure is the peak of a process of its own, as the operating system counts it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pages import write_figures, write_part

FORWARD = """
import torch
from layerdiff import load_image, load_weights, preprocess, torchvision_model
weights = load_weights("{weights}", "resnet50")
x = torch.from_numpy(preprocess([load_image(None)], architecture="resnet50"))
with torch.no_grad():
    torchvision_model("resnet50", weights)(x)
"""

CANDIDATE = Path(__file__).parents[1] / "tests" / "candidates" / "convblock_identityblock.py"
FOREIGN = """
import layerdiff
assert layerdiff.run("{file}", weights="{weights}").verdict == "same"
"""


def peak(command: list[str]) -> float:
    """The peak resident memory of one process, in MB.

    Raises:
        SystemExit: it failed.
    """
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with status {status}")
    return usage.ru_maxrss / 1e3


def main() -> None:
    """Measure and print; exit 1 where the promise is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "weights.safetensors")
        command = [sys.executable, "-m", "layerdiff", "weights", "export", "synthetic", weights]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        forward = peak([sys.executable, "-c", FORWARD.format(weights=weights)])
        run = peak([sys.executable, "-m", "layerdiff", "run", "--weights", weights])
        # As it is run: in a process of its own below this one.
        foreign = peak([sys.executable, "-c", FOREIGN.format(file=CANDIDATE, weights=weights)])
    # The parameters of one twin, though both are held at once: they are judged in step.
    parameters = 25_610_152 * 4 / 1e6
    ratio, foreign_ratio = (peak_ / (forward + parameters) for peak_ in (run, foreign))
    text = (
        f"torchvision's ResNet-50 forward {forward:.0f} MB, one twin's parameters {parameters:.0f} MB;\n"
        f"`layerdiff run`, both networks, both precisions, all probes: {run:.0f} MB, "
        f"{ratio:.2f} of their sum (at most 1.5); somebody's ResNet-50 ({CANDIDATE.name}): {foreign:.0f} MB, "
        f"{foreign_ratio:.2f}."
    )
    print(text)
    write_part("measured.md", "memory", text)
    write_figures(
        "memory",
        {"forward_mb": forward, "parameters_mb": parameters, "run_mb": run, "ratio": ratio, "foreign_mb": foreign},
    )
    raise SystemExit(max(ratio, foreign_ratio) > 1.5)


if __name__ == "__main__":
    main()
