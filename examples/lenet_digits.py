"""Example 3: LeNet-5 in NumPy: counted, timed, held against torch's layers, and trained on handwritten digits.

    python examples/lenet_digits.py
    python examples/lenet_digits.py --data FOLDER      a folder with MNIST's files

Without a folder the digits are scikit-learn's, which are smaller and easier than MNIST's.
"""

from __future__ import annotations

import statistics
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from example_kit import Figures, example, milliseconds, output_option, picture, run, say, table
from torch import nn

from layerdiff import compare_networks
from layerdiff.handwritten import initialisers, numpy_lenet, torch_lenet
from layerdiff.handwritten.counting import LAST_USE
from layerdiff.handwritten.numpy_ops import Grade
from layerdiff.handwritten.optimisers import Adam
from layerdiff.handwritten.schedules import OneCycleLR
from layerdiff.handwritten.summary import summarise
from layerdiff.handwritten.training import (
    History,
    NumpyLearner,
    Plan,
    batch_count,
    evaluate,
    progress_bar,
    save_curves,
    train,
)
from layerdiff.reference.datasets import Dataset, load_digits, split

BATCH = 64
HIGHEST_LR = 4e-3


class Size(NamedTuple):
    """How many images to learn from, to watch the training by and to test with, and how long to learn."""

    train: int
    validation: int
    test: int
    epochs: int


SMALL = Size(1000, 200, 200, epochs=5)
LARGE = Size(8000, 1000, 1000, epochs=8)


def count() -> Figures:
    """Prints the layers of the classical network, and how its multiply-adds are counted."""
    network = numpy_lenet.build(pool="avg", activation="tanh")
    shape = (1, 1, 32, 32)
    layers, work = summarise(network, shape, convention=LAST_USE), network.work(shape)
    rows = [(row.name, row.kind, row.output_shape, row.parameters, row.multiply_adds) for row in layers.rows]
    total = ("all", "", "", layers.parameters, layers.multiply_adds)
    table(("layer", "kind", "output", "parameters", "multiply-adds"), [*rows, total])
    means = layers.multiply_adds - work.products - work.conv_biases
    say(
        f"The published {layers.multiply_adds:,} come out as {work.products:,} products, {work.conv_biases:,} biases "
        f"of convolutions and {means} means, if of the pooling layer, which runs twice, the last use alone is counted. "
        f"Both uses have {work.averaged:,} means; torchvision's convention counts products only."
    )
    return {"parameters": layers.parameters, "multiply-adds": layers.multiply_adds, "products": work.products}


def measure_speed() -> Figures:
    """Prints how long a forward pass takes for an image, in each grade of our convolutions and in torch."""
    images = np.random.default_rng(0).random((BATCH, 1, 32, 32), dtype=np.float32)
    speeds = {}
    grades: tuple[Grade, ...] = ("loops", "im2col", "gemm")
    for grade in grades:
        network = numpy_lenet.build(pool="max", activation="relu", grade=grade)
        some = images[:1] if grade == "loops" else images  # 64 images through seven nested loops take too long
        speeds[grade] = milliseconds(partial(network, some)) / len(some)
    twin, x = in_torchs_layers(), torch.from_numpy(images)
    speeds["torch"] = milliseconds(partial(twin, x)) / BATCH
    rows = [(name, f"{speed:.3f}", f"{speed / speeds['torch']:,.1f}") for name, speed in speeds.items()]
    table(("convolution by", "ms for an image", "times torch"), rows)
    return speeds


def in_torchs_layers() -> nn.Sequential:
    """LeNet-5 with rectifiers and max-pooling, made of torch's own layers under our names."""
    layers = (
        *(("conv1", nn.Conv2d(1, 6, 5)), ("relu1", nn.ReLU()), ("pool1", nn.MaxPool2d(2))),
        *(("conv2", nn.Conv2d(6, 16, 5)), ("relu2", nn.ReLU()), ("pool2", nn.MaxPool2d(2))),
        *(("conv3", nn.Conv2d(16, 120, 5)), ("relu3", nn.ReLU()), ("flatten", nn.Flatten())),
        *(("fc1", nn.Linear(120, 84)), ("relu4", nn.ReLU()), ("fc2", nn.Linear(84, 10))),
    )
    return nn.Sequential(OrderedDict(layers)).eval().requires_grad_(False)


def learn(digits: Dataset, size: Size, seed: int) -> tuple[numpy_lenet.LeNet5, History, float]:
    """Trains a network; gives it with its history and its accuracy on the test images, at which it looks once.

    The recipe: rectifiers and max-pooling, weights drawn by He's rule, biases 0, Adam, one cycle of the learning rate
    from a 25th of its height up and down to almost 0. The seed decides the split, the weights and the order.
    """
    parts = split(digits, train=size.train, validation=size.validation, test=size.test, seed=seed)
    network = numpy_lenet.build(pool="max", activation="relu")
    generator = np.random.default_rng(seed)
    for parameter in network.parameters():
        parameter[...] = initialisers.he_normal(parameter.shape, generator) if parameter.ndim > 1 else 0
    learner = NumpyLearner(network, Adam(network.parameters()))
    cycle = OneCycleLR(HIGHEST_LR, total_steps=size.epochs * batch_count(size.train, BATCH, drop_last=False))
    with progress_bar() as bar:
        plan = Plan(epochs=size.epochs, batch_size=BATCH, lr=cycle, seed=seed)
        history = train(learner, parts.train, parts.validation, plan, on_batch=bar)
    return network, history, evaluate(learner, parts.test)[1]


def carry(network: numpy_lenet.LeNet5, digits: Dataset) -> Figures:
    """Carries what was learned in NumPy into two torch networks, and asks layerdiff whether they are the same."""
    learned = {name: torch.from_numpy(array) for name, array in network.state_dict().items()}
    theirs, ours = in_torchs_layers(), torch_lenet.build(pool="max", activation="relu").eval().requires_grad_(False)
    theirs.load_state_dict(learned)
    ours.load_state_dict(learned)
    verdicts = {}
    for name, twin in {"NumPy": network, "handwritten torch": ours}.items():
        report = compare_networks(theirs, twin, digits.images[:8])
        same = sum(layer.status == "same" for layer in report.layers)
        say(f"{name} against torch's own layers: {report.verdict}, {same} of {len(report.layers)} layers.")
        verdicts[name] = report.verdict
    return verdicts


@example
@click.option("--data", type=click.Path(path_type=Path), help="A folder with MNIST's files.")
@click.option("--quick", is_flag=True, help="One training for one epoch, only to see that all works.")
@output_option
def command(data: Path | None, quick: bool, output: Path) -> Figures:
    """LeNet-5 in NumPy: its layers, its speed, five trainings, and its twins in torch."""
    digits = load_digits(data)
    figures: Figures = {"data": digits.source, "counts": count(), "accuracy": {}}
    say()
    figures["milliseconds"] = measure_speed()
    sizes = [SMALL._replace(epochs=1)] if quick else [size for size in (SMALL, LARGE) if sum(size[:3]) <= len(digits)]
    for size in sizes:
        trained = [learn(digits, size, seed) for seed in range(1 if quick else 5)]
        accuracies = [accuracy for _, _, accuracy in trained]
        figures["accuracy"][str(size.train)] = {"tests": accuracies, "median": statistics.median(accuracies)}
        say()
        say(f"{size.train:,} of {digits.source}, epochs: {size.epochs}, batch {BATCH}, Adam, highest lr {HIGHEST_LR}.")
        each = " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        say(f"Test accuracy by seed, from 0: {each}; median {statistics.median(accuracies):.3f}.")
        histories = {f"seed {seed}": history for seed, (_, history, _) in enumerate(trained)}
        picture(output, f"lenet_{size.train}_digits.png", partial(save_curves, runs=histories))
    say()
    figures["verdicts"] = carry(trained[0][0], digits)
    return figures


if __name__ == "__main__":
    run(command)
