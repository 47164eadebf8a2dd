"""A training step of ResNet-50, 16 images of 64x64, in NumPy beside torch; docs/speed.md.

    python benchmarks/learning.py

In a process of its own: a step takes much memory, and where others have left theirs in pieces, it takes a third longer.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from interleaved import Timed, in_turn
from pages import write_figures, write_part
from torchvision.models import resnet50

from layerdiff.handwritten import numpy_resnet
from layerdiff.handwritten.numpy_resnet import ResNet
from layerdiff.handwritten.optimisers import SGD
from layerdiff.handwritten.training import Learner, NumpyLearner, keep_freed_memory
from layerdiff.handwritten.training.torch_learner import TorchLearner

TORCH, TAPS, GEMM = "torch eager", "NumPy, grade taps", "NumPy, grade gemm"
AIM = 1.3


def training_step(rounds: int) -> dict[str, Timed]:
    """A step of SGD on 16 images of 64x64, by our tape and by torch, two threads; freed memory is kept, for both."""
    keep_freed_memory()
    images = np.random.default_rng(0).standard_normal((16, 3, 64, 64), dtype=np.float32)
    labels = np.random.default_rng(1).integers(0, 1000, 16)
    torch.set_num_threads(2)
    theirs = resnet50()
    grades: dict[str, ResNet] = {
        TAPS: numpy_resnet.build("resnet50", grade="taps"),
        GEMM: numpy_resnet.build("resnet50"),
    }
    learners: dict[str, Learner] = {
        name: NumpyLearner(ours, SGD(ours.named_parameters(), lr=1e-3, momentum=0.9)) for name, ours in grades.items()
    } | {
        TORCH: TorchLearner(theirs, torch.optim.SGD(theirs.parameters(), lr=1e-3, momentum=0.9)),
    }
    return in_turn(
        {name: lambda one=one: one.train_step(images, labels, 1e-3) for name, one in learners.items()}, rounds=rounds
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    times = training_step(parser.parse_args().rounds)
    lines = ["| a training step, two threads | median ms | quartiles | of torch eager |", "|---|---:|---:|---:|"]
    for name, one in times.items():
        low, high = one.quartiles
        lines.append(f"| {name} | {one.median:.0f} | {low:.0f}, {high:.0f} | {one.ratio(times[TORCH]):.2f} |")
    ratio = times[TAPS].ratio(times[TORCH])
    reached = "" if ratio <= AIM else ": not reached"
    text = "\n".join((*lines, "", f"The aim is at most {AIM:g} times torch's{reached}."))
    print(text)
    write_part("speed.md", "learning", text)
    write_figures("learning", {name: one.milliseconds for name, one in times.items()})


if __name__ == "__main__":
    main()
