"""Example 6: a ResNet-50 learns hand signs in torch, and its NumPy twin gets what was learned.

    python examples/hand_signs.py
    python examples/hand_signs.py --data FOLDER      a folder with one of photos for each sign, in all 1,237 or more
    python examples/hand_signs.py --checkpoints DIR  keeps each epoch there, and goes on from the last one

Without a folder the hands are drawn by a program; fewer of them, and learned from for a shorter time.

Every step is taken by the handwritten torch blocks. The trained network is then compared, layer by layer, with the
NumPy twin that has its weights and with torchvision's own layers; and a head that does not fit is explained.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from example_kit import Figures, example, output_option, picture, run, say, table
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn
from torchvision.models import resnet50

from layerdiff import compare_networks
from layerdiff.handwritten import numpy_signs, torch_signs
from layerdiff.handwritten.initialisers import zero_gamma
from layerdiff.handwritten.schedules import OneCycleLR
from layerdiff.handwritten.training import (
    LAST,
    Epoch,
    History,
    Plan,
    batch_count,
    evaluate,
    in_turn,
    progress_bar,
    random_flip,
    random_shift,
    save_curves,
    train,
)
from layerdiff.handwritten.training.torch_learner import TorchLearner
from layerdiff.reference.datasets import Dataset, Splits, draw_hands, load_photos, split

SEED, BATCH = 0, 32
HIGHEST_LR, MOMENTUM, WEIGHT_DECAY, SMOOTHING, FARTHEST = 0.05, 0.9, 5e-4, 0.1, 6
MISFIT = "examples/candidates/signs_misfit.py:SignsResNet"
RIGHT = "layerdiff.handwritten.torch_signs:build"


class Size(NamedTuple):
    """How many images to learn from, to watch the training by and to test with, and how long to learn."""

    train: int
    validation: int
    test: int
    epochs: int

    @property
    def images(self) -> int:
        """Of all three parts."""
        return self.train + self.validation + self.test


PHOTOS = Size(1000, 117, 120, epochs=18)
DRAWN = Size(640, 60, 120, epochs=12)
QUICK = Size(32, 12, 12, epochs=1)
COMPARED = 8


def standardised(parts: Splits) -> Splits:
    """Every channel less its mean, through its standard deviation, both over the images that are learned from."""
    seen = parts.train.images.astype(np.float64)
    mean, std = (measure(seen, axis=(0, 2, 3), keepdims=True) for measure in (np.mean, np.std))

    def scaled(part: Dataset) -> Dataset:
        return dataclasses.replace(part, images=((part.images - mean) / std).astype(np.float32))

    return Splits(scaled(parts.train), scaled(parts.validation), scaled(parts.test))


def learner(classes: int) -> TorchLearner:
    """The network with its optimiser: convolutions drawn by He's rule, and every block begins as its shortcut."""
    begun = numpy_signs.build(num_classes=classes, seed=SEED)
    zero_gamma(begun)
    network = torch_signs.build(num_classes=classes)
    drawn = {name: torch.from_numpy(array) for name, array in begun.state_dict().items()}
    network.load_state_dict(network.state_dict() | drawn)  # torch's counts of batches are the network's own
    optimiser = torch.optim.SGD(
        network.parameters(), lr=HIGHEST_LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    loss = partial(nn.functional.cross_entropy, label_smoothing=SMOOTHING)
    return TorchLearner(network, optimiser, loss=loss)


def plan(size: Size) -> Plan:
    """The recipe: which images in which order, changed how, at which learning rate."""
    steps = size.epochs * batch_count(size.train, BATCH, drop_last=True)
    return Plan(
        epochs=size.epochs,
        batch_size=BATCH,
        lr=OneCycleLR(HIGHEST_LR, total_steps=steps, pct_start=0.25),
        seed=SEED,
        drop_last=True,
        augment=in_turn(partial(random_shift, pixels=FARTHEST, padding_mode="replicate"), random_flip),
    )


def learn(one: TorchLearner, parts: Splits, size: Size, checkpoints: Path | None) -> tuple[History, float]:
    """Trains, or goes on training; prints each epoch; gives the history and the minutes that it took.

    Nothing is chosen by the validation images: they draw the curves, and the network that is tested is that of the
    last epoch.
    """
    start = time.perf_counter()
    resume = checkpoints is not None and (checkpoints / LAST).exists()
    with progress_bar() as bar:
        history = train(one, parts.train, parts.validation, plan(size), folder=checkpoints, resume=resume, on_batch=bar)
    minutes = (time.perf_counter() - start) / 60
    table(
        ("epoch", "last lr", "loss", "accuracy", "validation loss", "validation accuracy"),
        [(epoch.number, f"{epoch.lr:.4f}", *(f"{value:.3f}" for value in _curves(epoch))) for epoch in history.epochs],
    )
    return history, minutes


def predicted(network: nn.Module, images: NDArray[np.float32]) -> NDArray[np.int64]:
    """The number of the likeliest class of every image, (n,)."""
    with torch.inference_mode():
        classes: NDArray[np.int64] = network.eval()(torch.from_numpy(images)).argmax(dim=1).numpy()
    return classes


def show_signs(path: Path, test: Dataset, found: NDArray[np.int64]) -> None:
    """Draws 24 test images with what the network takes them for; those it gets wrong come first, in red."""
    figure = Figure(figsize=(9.6, 4.2), dpi=100, layout="constrained")
    order = np.argsort(found == test.labels, kind="stable")[:24]
    for place, axes in zip(order, figure.subplots(3, 8).flat, strict=False):
        axes.imshow(test.images[place].transpose(1, 2, 0))
        taken, true = test.classes[found[place]], test.classes[test.labels[place]]
        axes.set_title(taken if taken == true else f"{taken}, is {true}", color="black" if taken == true else "red")
    for axes in figure.axes:
        axes.set_axis_off()
    figure.savefig(path, metadata={"Software": None})


def carry(network: nn.Module, images: NDArray[np.float32]) -> Figures:
    """Carries what was learned to NumPy and to torchvision's layers, and asks layerdiff whether they are the same."""
    learned = network.state_dict()
    classes = len(learned["fc.bias"])
    twin = numpy_signs.build(num_classes=classes)
    twin.load_state_dict({name: tensor.numpy() for name, tensor in learned.items()})
    theirs = resnet50(num_classes=classes)
    theirs.avgpool = nn.AvgPool2d(2)
    theirs.load_state_dict(learned)
    ours = network.eval().requires_grad_(False)
    pairs = {
        "the NumPy twin against the trained network": (ours, twin),
        "the trained network against torchvision's layers": (theirs.eval().requires_grad_(False), ours),
    }
    found: Figures = {}
    for name, (expected, actual) in pairs.items():
        report = compare_networks(expected, actual, images)
        same = sum(layer.status == "same" for layer in report.layers)
        say(f"{name[0].upper()}{name[1:]}: {report.verdict}, {same} of {len(report.layers)} layers.")
        found[name] = {"verdict": report.verdict, "same layers": same, "layers": len(report.layers)}
    return found


def misfit() -> Figures:
    """Asks `layerdiff shapes` about a head that does not fit, and prints its answer."""
    root = Path(__file__).resolve().parents[1]
    asked = ["shapes", "--actual", MISFIT, "--expected", RIGHT, "--size", "64"]
    say(f"$ layerdiff {' '.join(asked)}")
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "shapes.json"
        command = [sys.executable, "-P", "-m", "layerdiff", *asked, "--output", str(ledger)]
        environment = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False)
        if done.returncode != 1:
            raise RuntimeError(f"layerdiff shapes ended with {done.returncode}, expected 1: {done.stderr}")
        explained = json.loads(ledger.read_text().replace(f"{root}{os.sep}", ""))["explanation"]
    click.echo(done.stdout.replace(f"{root}{os.sep}", "").rstrip())
    return {"explanation": explained}


@example
@click.option("--data", type=click.Path(path_type=Path), help="A folder with a folder of photos for each sign.")
@click.option("--quick", is_flag=True, help="One step on 32 images, only to see that all works.")
@click.option("--checkpoints", type=click.Path(path_type=Path), help="Keeps every epoch in this folder, or goes on.")
@output_option
def command(data: Path | None, quick: bool, checkpoints: Path | None, output: Path) -> Figures:
    """ResNet-50 on hand signs: one training by the torch blocks, its twins, and a head that does not fit."""
    size = QUICK if quick else DRAWN if data is None else PHOTOS
    signs = draw_hands(size.images) if data is None else load_photos(data)
    parts = split(signs, train=size.train, validation=size.validation, test=size.test, seed=SEED)
    ready = standardised(parts)
    say(
        f"{size.train:,} images to learn from, {size.validation} to validate, {size.test} to test, of {signs.source}. "
        f"SGD, Nesterov momentum {MOMENTUM}, weight decay {WEIGHT_DECAY}, batch {BATCH}, epochs: {size.epochs}, "
        f"one cycle of the learning rate up to {HIGHEST_LR}, label smoothing {SMOOTHING}, shifts up to {FARTHEST} "
        f"pixels and mirror images, seed {SEED}."
    )
    say()
    one = learner(len(signs.classes))
    history, minutes = learn(one, ready, size, checkpoints)
    accuracy = evaluate(one, ready.test)[1]
    found = predicted(one.network, ready.test.images)
    say()
    wrong = np.count_nonzero(found != parts.test.labels)
    say(f"Test accuracy {accuracy:.3f}: {wrong} of {size.test} wrong. Minutes of training: {minutes:.1f}.")
    picture(output, "hand_signs_curves.png", lambda path: save_curves(path, {"hand signs": history}))
    picture(output, "hand_signs.png", lambda path: show_signs(path, parts.test, found))
    say()
    twins = carry(one.network, ready.test.images[: 2 if quick else COMPARED])
    say()
    return {
        "data": signs.source,
        "seed": SEED,
        "test accuracy": accuracy,
        "validation accuracy by epoch": [epoch.validation_accuracy for epoch in history.epochs],
        "minutes of training": round(minutes, 1),
        "twins": twins,
        "misfit": misfit(),
    }


def _curves(epoch: Epoch) -> tuple[float, ...]:
    return epoch.loss, epoch.accuracy, epoch.validation_loss, epoch.validation_accuracy


if __name__ == "__main__":
    run(command)
