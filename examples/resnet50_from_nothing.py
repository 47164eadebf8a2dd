"""Example 7: ResNet-50 from nothing on a photo: weights read as text, a picture read, and six operations of NumPy.

    python examples/resnet50_from_nothing.py
    python examples/resnet50_from_nothing.py --weights txt:FOLDER --photo FILE

The whole network is below: convolution, batch norm, rectifier, max-pooling, mean and linear map, and an addition.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from example_kit import Figures, example, milliseconds, run, say, table
from numpy.typing import NDArray
from torch.nn import functional

from layerdiff import InputError, load_image, load_weights, preprocess
from layerdiff.handwritten import numpy_ops as ops
from layerdiff.reference import categories, covered_prefix

Array = NDArray[np.floating[Any]]
Weights = Mapping[str, Array]

BLOCKS = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}
CROP = 37  # pixels a side for the seven loops: 16x16 windows of the 112x112 that the whole picture has


def conv(w: Weights, name: str, x: Array, stride: int = 1, padding: int = 0) -> Array:
    """The convolution called `name`; none of a ResNet's has a bias."""
    return ops.conv2d(x, w[f"{name}.weight"], stride=stride, padding=padding)


def norm(w: Weights, name: str, x: Array) -> Array:
    """The batch norm called `name`, by the mean and variance that training left behind."""
    mean, variance, scale, shift = (w[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return ops.batch_norm(x, mean, variance, scale, shift)


def bottleneck(w: Weights, name: str, x: Array, stride: int) -> Array:
    """A residual block: narrow, look around, widen, and add what came in."""
    y = ops.relu(norm(w, f"{name}.bn1", conv(w, f"{name}.conv1", x)))
    y = ops.relu(norm(w, f"{name}.bn2", conv(w, f"{name}.conv2", y, stride, padding=1)))
    y = norm(w, f"{name}.bn3", conv(w, f"{name}.conv3", y))
    if f"{name}.downsample.0.weight" in w:
        x = norm(w, f"{name}.downsample.1", conv(w, f"{name}.downsample.0", x, stride))
    return ops.relu(y + x)


def resnet50(w: Weights, x: Array) -> Iterator[tuple[str, Array]]:
    """Gives each stage's name and output, one after the other; the last one's are the logits."""
    x = conv(w, "conv1", x, stride=2, padding=3)
    yield "conv1", x
    x = norm(w, "bn1", x)
    yield "bn1", x
    x = ops.max_pool2d(ops.relu(x), 3, stride=2, padding=1)
    for stage, blocks in BLOCKS.items():
        for block in range(blocks):
            x = bottleneck(w, f"{stage}.{block}", x, stride=2 if block == 0 and stage != "layer1" else 1)
        yield stage, x
    x = ops.flatten(ops.adaptive_avg_pool2d(x, 1))
    yield "fc", ops.linear(x, w["fc.weight"], w["fc.bias"])


def run_stages(w: Weights, x: Array, until: str) -> Array:
    """Prints the stages up to `until`, with the time each took; gives what the last one computed."""
    rows: list[tuple[object, ...]] = []
    start = time.perf_counter()
    for name, y in resnet50(w, x):
        rows.append((name, y.shape, f"{1000 * (time.perf_counter() - start):.1f}"))
        if name == until:
            break
        start = time.perf_counter()
    table(("up to", "output", "ms"), rows)
    return y


def name_classes(logits: Array) -> Figures:
    """Prints the five best classes with their shares."""
    shares, names = ops.softmax(logits.astype(np.float64))[0], categories("resnet50")
    best = {names[i]: float(shares[i]) for i in np.argsort(-shares, kind="stable")[:5]}
    table(("class", "share"), [(name, f"{share:.2%}") for name, share in best.items()])
    return best


def measure_grades(kernel: Array, x: Array) -> Figures:
    """Prints how many milliseconds conv1 takes in each of our grades and in torch; one image, float32."""
    windows = x.shape[2] // 2 * (x.shape[3] // 2)
    crop = x[:, :, :CROP, :CROP]
    looped = ops.conv2d(crop, kernel, stride=2).shape[2:]
    found = {
        "loops": milliseconds(lambda: ops.conv2d(crop, kernel, stride=2, grade="loops")) * windows / math.prod(looped),
        "im2col": milliseconds(lambda: ops.conv2d(x, kernel, stride=2, padding=3, grade="im2col")),
        "gemm": milliseconds(lambda: ops.conv2d(x, kernel, stride=2, padding=3, grade="gemm")),
    }
    tensors = torch.from_numpy(x), torch.tensor(kernel)
    found["torch"] = milliseconds(lambda: functional.conv2d(*tensors, stride=2, padding=3))
    rows = [(name, f"{time:,.1f}", f"{time / found['torch']:,.1f}") for name, time in found.items()]
    table(("conv1 by", "ms", "times torch"), rows)
    say(
        f"The loops ran on {CROP}x{CROP} pixels, {math.prod(looped):,} of {windows:,} windows; their time is "
        "extrapolated to all of them."
    )
    return found


@example
@click.option("--weights", "spec", default="auto", show_default=True, help="As for `layerdiff run`; txt:DIR is text.")
@click.option("--photo", type=click.Path(path_type=Path), help="Your own picture; without it, a cat.")
def command(spec: str, photo: Path | None) -> Figures:
    """ResNet-50 written out in NumPy: its stages, what it sees, and how long conv1 takes."""
    weights, picture = load_weights(spec, "resnet50"), load_image(photo)
    until = covered_prefix(weights)
    if until is None:
        raise InputError(f"{spec}: nothing to compute, got weights without conv1, expected that at least")
    for note in filter(None, (weights.fallback, *weights.notes, *picture.notes)):
        say(f"note: {note}")
    x = preprocess([picture], architecture="resnet50")
    say(f"ResNet-50 with {weights.source} on {picture.name}, {'x'.join(map(str, x.shape))}:")
    say()
    y = run_stages(weights.state, x, until)
    say()
    figures: Figures = {"weights": weights.source, "photo": picture.name, "until": until, "shape": y.shape}
    if until == "fc":
        figures["top-5"] = name_classes(y)
        if weights.source.startswith("synthetic"):
            say("Synthetic weights know nothing of pictures; the names mean nothing.")
    else:
        say(f"The weights end with {until}: {len(weights.missing)} tensors are lacking, so no class can be named.")
    say()
    figures["milliseconds"] = measure_grades(weights.state["conv1.weight"], x)
    return figures


if __name__ == "__main__":
    run(command)
