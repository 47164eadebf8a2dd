"""Example 4: ResNet-18 learns handwritten digits in NumPy, with its shortcuts and without them.

    python examples/resnet18_digits.py
    python examples/resnet18_digits.py --data FOLDER      a folder with MNIST's files
    python examples/resnet18_digits.py --half torch       the same trainings by the other half

Without a folder the digits are scikit-learn's, which are smaller and easier than MNIST's.

Both networks learn by the same recipe from the same seeds, for few epochs. At 18 layers shortcuts make a network learn
sooner, not better in the end: the plain one comes close with more epochs (He et al. 2015, section 4.1, found the same).
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Literal, NamedTuple

import click
import torch
from example_kit import Figures, example, output_option, picture, run, say, table

from layerdiff.handwritten import numpy_resnet, torch_resnet
from layerdiff.handwritten.counting import THOP
from layerdiff.handwritten.optimisers import SGD
from layerdiff.handwritten.schedules import CosineAnnealingLR
from layerdiff.handwritten.training import (
    History,
    Learner,
    NumpyLearner,
    Plan,
    batch_count,
    evaluate,
    progress_bar,
    save_curves,
    train,
)
from layerdiff.handwritten.training.torch_learner import TorchLearner
from layerdiff.reference.datasets import Dataset, load_digits, split

BATCH, LR, MOMENTUM = 64, 0.01, 0.9
NAMES = {True: "with shortcuts", False: "without"}
Half = Literal["numpy", "torch"]


class Size(NamedTuple):
    """How many images to learn from, to watch the training by and to test with, and how long to learn."""

    train: int
    validation: int
    test: int
    epochs: int


FULL = Size(1000, 200, 200, epochs=3)
QUICK = Size(64, 20, 20, epochs=1)


def build(*, residual: bool, seed: int) -> numpy_resnet.ResNet:
    """ResNet-18 for digits (n, 1, 32, 32), its stem with the bias that the published count has."""
    return numpy_resnet.build("resnet18", in_channels=1, num_classes=10, residual=residual, stem_bias=True, seed=seed)


def count() -> Figures:
    """Prints what is counted as parameters and as multiply-adds for one digit, with the terms of each."""
    figures: Figures = {}
    for residual, name in NAMES.items():
        network = build(residual=residual, seed=0)
        work = network.work((1, 1, 32, 32))
        figures[name] = {
            "what is learned: torch's count": network.parameter_count(),
            "running means and variances": network.buffer_count(),
            "parameters, as published": network.parameter_count() + network.buffer_count(),
            "of them the stem's bias": len(network.conv1.arrays["bias"]),
            "products of weights and values": work.products,
            "outputs with a bias, in the stem": work.conv_biases,
            "twice the outputs of batch norms": 2 * work.normalised,
            "sums and means of the last pooling": work.adaptive_taps + work.adaptive,
            "multiply-adds, as published": THOP.multiply_adds(work),
        }
    shortcuts, plain = figures.values()
    table(("one digit of 32x32", *NAMES.values()), [(name, shortcuts[name], plain[name]) for name in shortcuts])
    return figures


def learner(half: Half, *, residual: bool, seed: int) -> Learner:
    """The network with its optimiser; both halves begin with the same weights."""
    network = build(residual=residual, seed=seed)
    if half == "numpy":
        return NumpyLearner(network, SGD(network.named_parameters(), lr=LR, momentum=MOMENTUM))
    twin = torch_resnet.build("resnet18", in_channels=1, num_classes=10, residual=residual, stem_bias=True)
    begun = {name: torch.from_numpy(array) for name, array in network.state_dict().items()}
    twin.load_state_dict(twin.state_dict() | begun)  # torch's counts of batches are the twin's own
    return TorchLearner(twin, torch.optim.SGD(twin.parameters(), lr=LR, momentum=MOMENTUM))


def learn(digits: Dataset, half: Half, size: Size, seed: int) -> dict[str, tuple[History, float]]:
    """Trains both networks; gives each one's history, and its accuracy on the test images, at which it looks once.

    The seed decides the split, the weights and the order. Nothing is chosen by the validation images: they draw the
    curves, and the network that is tested is that of the last epoch.
    """
    parts = split(digits, train=size.train, validation=size.validation, test=size.test, seed=seed)
    steps = size.epochs * batch_count(size.train, BATCH, drop_last=False)
    plan = Plan(epochs=size.epochs, batch_size=BATCH, lr=CosineAnnealingLR(LR, T_max=steps), seed=seed)
    found = {}
    for residual, name in NAMES.items():
        one = learner(half, residual=residual, seed=seed)
        with progress_bar() as bar:
            history = train(one, parts.train, parts.validation, plan, on_batch=bar)
        found[name] = (history, evaluate(one, parts.test)[1])
    return found


@example
@click.option("--data", type=click.Path(path_type=Path), help="A folder with MNIST's files.")
@click.option("--half", type=click.Choice(["numpy", "torch"]), default="numpy", show_default=True)
@click.option("--quick", is_flag=True, help="One epoch on 64 digits, only to see that all works.")
@output_option
def command(data: Path | None, half: Half, quick: bool, output: Path) -> Figures:
    """ResNet-18 on digits with and without its shortcuts: what it costs, and three trainings of each."""
    digits = load_digits(data)
    figures: Figures = {"data": digits.source, "half": half, "counts": count()}
    say()
    size, seeds = (QUICK, range(1)) if quick else (FULL, range(3))
    say(
        f"{size.train:,} digits to learn from, {size.validation} to validate, {size.test} to test, of {digits.source}. "
        f"Trained by {half}: SGD, momentum {MOMENTUM}, batch {BATCH}, epochs: {size.epochs}, learning rate {LR} that "
        "falls by a cosine to 0."
    )
    found = [learn(digits, half, size, seed) for seed in seeds]
    tested = {name: [one[name][1] for one in found] for name in NAMES.values()}
    table(
        ("test accuracy", *(f"seed {seed}" for seed in seeds), "median"),
        [(name, *map(_places, each), _places(statistics.median(each))) for name, each in tested.items()],
    )
    say()
    watched = {name: _by_epoch([one[name][0] for one in found]) for name in NAMES.values()}
    table(
        ("validation, median", *(f"epoch {number}" for number in range(1, size.epochs + 1))),
        [(name, *map(_places, each)) for name, each in watched.items()],
    )
    medians = {name: statistics.median(each) for name, each in tested.items()}
    figures["accuracy"] = {name: {"by seed": each, "median": medians[name]} for name, each in tested.items()}
    figures["lead of the medians in points"] = round(100 * (medians["with shortcuts"] - medians["without"]), 2)
    figures["median validation accuracy by epoch"] = watched
    histories = {name: history for name, (history, _) in found[0].items()}
    picture(output, "resnet18_digits.png", lambda path: save_curves(path, histories))
    return figures


def _by_epoch(histories: list[History]) -> list[float]:
    """The median validation accuracy after each epoch."""
    epochs = zip(*(history.epochs for history in histories), strict=True)
    return [statistics.median(epoch.validation_accuracy for epoch in same) for same in epochs]


def _places(accuracy: float) -> str:
    return f"{accuracy:.3f}"


if __name__ == "__main__":
    run(command)
