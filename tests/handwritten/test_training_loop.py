"""The training loop: what it adds up, what it keeps, what it stops, and what it does not begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from layerdiff.handwritten.optimisers import NonFiniteGradientError
from layerdiff.handwritten.schedules import Constant, StepLR
from layerdiff.handwritten.training import (
    BEST,
    LAST,
    Epoch,
    Plan,
    Progress,
    TrainingStoppedError,
    batches,
    random_flip,
    read_checkpoint,
    train,
)


@dataclass
class Set:
    """Images and labels."""

    images: np.ndarray
    labels: np.ndarray


def draw(count, seed):
    """Images that nobody looks at, and labels of three classes."""
    images = np.random.default_rng(seed).standard_normal((count, 1, 6, 6), dtype=np.float32)
    return Set(images, np.arange(count) % 3)


@dataclass
class Scripted:
    """A learner that gives what it is told to, one after the other, and writes down what it was given."""

    losses: list
    validation: list
    arrays: object = None

    def __post_init__(self):
        self.steps, self.looks, self.order = [], [], []

    def train_step(self, images, labels, lr):
        """The next loss, one image right; an error is raised."""
        self.steps.append((len(labels), lr))
        self.order.append(images)
        loss = self.losses[len(self.steps) - 1]
        if isinstance(loss, Exception):
            raise loss
        return loss, 1

    def evaluate(self, images, labels):
        """The next of `validation`."""
        self.looks.append(images)
        return self.validation[len(self.looks) - 1]

    def state(self):
        """How many steps were taken, and `arrays`."""
        return {"network.steps": np.array(float(len(self.steps))), **(self.arrays or {})}

    def load_state(self, state):
        """Is never asked for: what would call it is refused before."""
        raise AssertionError


def told(error):
    """All that an error says."""
    return "\n".join([str(error.value), *error.value.__notes__])


THREE = Plan(epochs=3, batch_size=4, lr=Constant(0.5))
TEN, FIVE = draw(10, 2), draw(5, 3)
FINE = [(1.0, 1)] * 6


def test_the_history_is_of_means_over_images():
    """Loss and accuracy are over all images of the epoch, the batch that is not full by its size."""
    learner = Scripted([1.0, 2.0, 4.0] * 3, [(3.0, 4), (8.0, 0)] * 3)
    history = train(learner, TEN, FIVE, Plan(epochs=3, batch_size=4, lr=StepLR(0.5, 3, 0.1)))

    assert [size for size, _ in learner.steps] == [4, 4, 2] * 3
    assert history.epochs[0] == Epoch(1, 0.5, 2.0, 0.3, 4.0, 0.8)
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3]
    assert [epoch.lr for epoch in history.epochs] == [StepLR(0.5, 3, 0.1).lr(step) for step in (2, 5, 8)]
    assert [lr for _, lr in learner.steps] == [StepLR(0.5, 3, 0.1).lr(step) for step in range(9)]
    np.testing.assert_array_equal(FIVE.images, np.concatenate(learner.looks[:2]))


def test_every_epoch_has_an_order_of_its_own():
    """The learner gets the batches of the plan's seed and the number of the epoch, augmented."""
    learner = Scripted([1.0] * 9, FINE)
    plan = Plan(epochs=3, batch_size=4, lr=0.1, seed=6, augment=random_flip)
    train(learner, TEN, FIVE, plan)
    options = {"batch_size": 4, "seed": 6, "augment": random_flip}
    expected = [images for epoch in (1, 2, 3) for images, _ in batches(TEN.images, TEN.labels, epoch=epoch, **options)]

    assert len(learner.order) == len(expected)
    for given, images in zip(learner.order, expected, strict=True):
        np.testing.assert_array_equal(images, given)
    assert not np.array_equal(learner.order[0], learner.order[3])


def test_the_best_and_the_last_are_kept(tmp_path):
    """`best` is written when the validation accuracy rises, or the loss falls at the same; `last` after each epoch."""
    plan = Plan(epochs=5, batch_size=16, lr=0.1)
    script = [(1.0, 3), (1.0, 4), (0.9, 4), (0.8, 3), (0.9, 4)]
    train(Scripted([1.0] * 5, script), TEN, FIVE, plan, folder=tmp_path)
    best, last = read_checkpoint(tmp_path / BEST), read_checkpoint(tmp_path / LAST)

    assert (len(best.history.epochs), best.state["network.steps"]) == (3, 3)
    assert (len(last.history.epochs), last.state["network.steps"]) == (5, 5)


def test_progress_is_told():
    """After each batch the loop says how far it is, with the means of the epoch so far."""
    told_so_far = []
    train(Scripted([1.0, 2.0, 4.0] * 3, [(3.0, 4), (8.0, 0)] * 3), TEN, FIVE, THREE, on_batch=told_so_far.append)

    assert told_so_far[:3] == [
        Progress(1, 3, 1, 3, 1.0, 0.25),
        Progress(1, 3, 2, 3, 1.5, 0.25),
        Progress(1, 3, 3, 3, 2.0, 0.3),
    ]
    assert told_so_far[-1] == Progress(3, 3, 3, 3, 2.0, 0.3)


STRAY = {
    "loss": (
        Scripted([1.0, 1.0, 1.0, 1.0, float("nan")], FINE),
        "epoch 2, batch 2 of 3: the loss is not finite, got nan, expected finite numbers",
    ),
    "infinite loss": (Scripted([float("inf")], FINE), "epoch 1, batch 1 of 3: the loss is not finite, got inf"),
    "gradient": (
        Scripted([1.0, NonFiniteGradientError("step: ...", ("a.weight", "b.bias"))], FINE),
        "epoch 1, batch 2 of 3: the gradient is not finite, got it for a.weight, b.bias, expected finite numbers",
    ),
    "validation": (
        Scripted([1.0] * 9, [(1.0, 1), (float("nan"), 1)]),
        "epoch 1, after its last batch: the validation loss is not finite, got nan",
    ),
    "weights": (
        Scripted([1.0] * 9, FINE, {"network.a": np.array([1.0, np.inf]), "network.b": np.array(np.nan)}),
        "epoch 1, after its last batch: what was learned is not finite, got network.a, network.b",
    ),
}


@pytest.mark.parametrize("name", STRAY)
def test_whatever_is_not_finite_stops_the_training(tmp_path, name):
    """A loss, a gradient, a validation loss or a state that is not finite ends it, and no checkpoint has it."""
    learner, expected = STRAY[name]
    learner.__post_init__()
    with pytest.raises(TrainingStoppedError) as error:
        train(learner, TEN, FIVE, THREE)
    assert f"train: stopped in {expected}" in str(error.value)
    assert "note: no checkpoint was kept, since no folder was given for any" in error.value.__notes__
    assert error.value.checkpoint is None

    learner.__post_init__()
    with pytest.raises(TrainingStoppedError) as error:
        train(learner, TEN, FIVE, THREE, folder=tmp_path)
    done = error.value.epoch - 1
    state = "before the first epoch" if done == 0 else f"after epoch {done}, all of finite numbers"
    assert f"note: {tmp_path / LAST} holds the state {state}" in error.value.__notes__
    assert len(read_checkpoint(tmp_path / LAST).history.epochs) == done
    assert (tmp_path / BEST).exists() == (done > 0)


UNUSABLE = {
    "no images": (Set(np.zeros((0, 1, 6, 6)), np.zeros(0, dtype=int)), r"unusable images, got \(0, 1, 6, 6\) float64"),
    "no batch": (
        Set(TEN.images[:, 0], TEN.labels),
        r"unusable images, got \(10, 6, 6\) float32, expected \(n, c, h, w\)",
    ),
    "bytes": (Set(TEN.images.astype(np.uint8), TEN.labels), r"unusable images, got \(10, 1, 6, 6\) uint8, expected"),
    "labels": (Set(TEN.images, TEN.labels[:9]), r"unusable labels, got \(9,\) int64, expected \(10,\) integers"),
    "floats": (Set(TEN.images, TEN.labels * 1.0), r"unusable labels, got \(10,\) float64, expected"),
    "nan": (
        Set(np.where(TEN.labels[:, None, None, None] == 1, np.nan, TEN.images), TEN.labels),
        r"images that are not finite, got 3 of 10, the first images\[1\], expected numbers",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_examples(name):
    """Images and labels that cannot be learned from are refused before the first step, in either part."""
    wrong, message = UNUSABLE[name]
    for part, sets in (("training", (wrong, FIVE)), ("validation", (FIVE, wrong))):
        with pytest.raises(ValueError, match=f"^train: {part}: {message}"):
            train(Scripted([], []), *sets, THREE)


def test_unusable_plans():
    """Numbers that cannot be used are all named; so is a plan that leaves no batch."""
    with pytest.raises(
        ValueError, match="got epochs=0, batch_size=0, seed=-1, lr=-1, expected epochs from 1 up, batch"
    ):
        Plan(epochs=0, batch_size=0, lr=-1, seed=-1)
    with pytest.raises(ValueError, match="Plan: unusable numbers, got lr=nan, expected lr from 0 up"):
        Plan(epochs=1, batch_size=1, lr=float("nan"))
    with pytest.raises(ValueError, match="nothing to learn from, got 10 images in batches of 11 without the last one"):
        train(Scripted([], []), TEN, FIVE, Plan(epochs=1, batch_size=11, lr=0.1, drop_last=True))


def test_a_folder_with_a_training_in_it_is_not_overwritten(tmp_path):
    """Without resume=True a folder with a checkpoint is refused, and left as it is."""
    train(Scripted([1.0] * 9, FINE), TEN, FIVE, THREE, folder=tmp_path)
    before = (tmp_path / LAST).read_bytes()
    with pytest.raises(ValueError, match=r"has a training in it, got last\.safetensors, expected a folder") as error:
        train(Scripted([1.0] * 9, FINE), TEN, FIVE, THREE, folder=tmp_path)

    assert "help: go on with resume=True, give another folder, or delete it" in told(error)
    assert (tmp_path / LAST).read_bytes() == before


def test_nothing_to_resume(tmp_path):
    """Without a folder, or with an empty one, there is nothing to go on from."""
    with pytest.raises(ValueError, match="train: nothing to resume, got no folder, expected one"):
        train(Scripted([], []), TEN, FIVE, THREE, resume=True)
    with pytest.raises(ValueError, match=r"last\.safetensors: no such checkpoint, got nothing there, expected a file"):
        train(Scripted([], []), TEN, FIVE, THREE, folder=tmp_path, resume=True)


def test_another_training_is_not_resumed(tmp_path):
    """Another seed, batch size, schedule or set of images is refused, all of it named, nothing loaded."""
    train(Scripted([1.0] * 9, FINE), TEN, FIVE, THREE, folder=tmp_path)
    plan = Plan(epochs=3, batch_size=5, lr=Constant(0.25), seed=1, drop_last=True)
    with pytest.raises(ValueError, match="the checkpoint of another training, got seed 0 and now 1; ") as error:
        train(Scripted([], []), draw(10, 9), FIVE, plan, folder=tmp_path, resume=True)

    text = told(error)
    assert "; batch_size 4 and now 5; drop_last False and now True; lr Constant(base_lr=0.5) and now Constant(" in text
    assert "; training images 10x1x6x6 float32 " in text
    assert "validation images" not in text
    assert "help: resume with the plan and the images it was begun with" in text
