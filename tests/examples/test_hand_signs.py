"""Example 6: hand signs in short: the recipe, the twins, the head that does not fit; the training only on request."""

from __future__ import annotations

from dataclasses import replace

import hand_signs
import numpy as np
import pytest
from PIL import Image

from layerdiff.handwritten.training import LAST, History
from layerdiff.handwritten.training.torch_learner import TorchLearner
from layerdiff.reference.datasets import Dataset, draw_hands, split


@pytest.fixture
def few():
    """The three parts of few hands."""
    return split(draw_hands(18, side=16), train=6, validation=6, test=6)


def test_the_example_in_short(show, tmp_path):
    """One step; both twins the same in all layers; the head that does not fit explained; two pictures."""
    printed, figures = show(hand_signs.command, "--quick", "--output", tmp_path)

    assert figures["data"] == "drawn hands, no photos (56 of 64x64, seed 0)"
    assert figures["test accuracy"] in {hits / 12 for hits in range(13)}
    assert len(figures["validation accuracy by epoch"]) == 1
    assert (
        f"Test accuracy {figures['test accuracy']:.3f}: {12 - round(12 * figures['test accuracy'])} of 12 wrong."
        in (printed)
    )
    assert list(figures["twins"].values()) == [{"verdict": "same", "same layers": 175, "layers": 175}] * 2
    explanation = figures["misfit"]["explanation"]
    assert explanation["arithmetic"] == (
        "8192 = 2048·2·2: a 2×2 map reached the flatten; the expected network pools to 1×1"
    )
    assert explanation["source"] == "examples/candidates/signs_misfit.py:24"
    assert "first     avgpool: padding=1 is wrong" in printed
    assert "change    give avgpool padding=0" in printed
    assert "where     examples/candidates/signs_misfit.py:24" in printed
    for name, size in (("hand_signs_curves.png", (1200, 480)), ("hand_signs.png", (960, 420))):
        with Image.open(tmp_path / name) as picture:
            assert picture.size == size


@pytest.fixture(scope="module")
def beginner():
    """The network as it begins, with its optimiser."""
    return hand_signs.learner(6)


def test_the_recipe(few, beginner, monkeypatch):
    """Batches of 32 that are full; up to the highest rate in a quarter of the steps, then down to almost nothing."""
    seen = []
    monkeypatch.setattr(
        TorchLearner, "train_step", lambda self, images, labels, lr: (seen.append((images, lr)), (1, 0))[1]
    )
    monkeypatch.setattr(TorchLearner, "evaluate", lambda self, images, labels: (1.0, 0))
    hands = draw_hands(70, side=16)
    parts = replace(few, train=hands)
    size = hand_signs.PHOTOS._replace(train=70, epochs=8)
    history, minutes = hand_signs.learn(beginner, parts, size, None)

    assert [len(images) for images, _ in seen] == [32] * 16
    rates = [lr for _, lr in seen]
    assert max(rates) == rates[3] == 0.05
    assert rates[:4] == sorted(rates[:4])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert (len(history.epochs), minutes > 0) == (8, True)
    known = {image.tobytes() for image in np.concatenate((hands.images, hands.images[..., ::-1]))}
    assert not all(image.tobytes() in known for images, _ in seen for image in images)
    blank = np.ones((8, 3, 16, 16))
    np.testing.assert_array_equal(hand_signs.plan(size).augment(blank, np.random.default_rng(0)), blank)  # no gaps
    group = beginner.optimizer.param_groups[0]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, True, 5e-4)


def test_every_block_begins_as_its_shortcut(beginner):
    """The scale of the last norm of all 16 blocks is 0, and no other; another start of the same seed is the same."""
    state, again = (one.network.state_dict() for one in (beginner, hand_signs.learner(6)))
    assert all((state[name] == again[name]).all() for name in state)
    zero = {name for name, tensor in state.items() if name.endswith("weight") and not tensor.any()}
    assert zero == {name for name in state if name.endswith("bn3.weight")}
    assert len(zero) == 16


def test_the_channels_are_standardised_by_what_is_learned_from(few):
    """The training images have mean 0 and deviation 1; the others are moved and scaled by the very same numbers."""
    ready = hand_signs.standardised(few)
    np.testing.assert_allclose(ready.train.images.mean((0, 2, 3), dtype=float), 0, atol=1e-6)
    np.testing.assert_allclose(ready.train.images.std((0, 2, 3), dtype=float), 1, atol=1e-6)
    mean, std = (getattr(few.train.images, name)((0, 2, 3), dtype=float).reshape(3, 1, 1) for name in ("mean", "std"))
    for ours, before in ((ready.validation, few.validation), (ready.test, few.test)):
        np.testing.assert_allclose(ours.images, (before.images - mean) / std, atol=1e-6)
        assert ours.images.dtype == np.float32


def test_wrong_ones_come_first(tmp_path, monkeypatch):
    """The picture shows what the network takes an image for, and of wrong ones what they are, in red."""
    drawn = []
    save = hand_signs.Figure.savefig
    monkeypatch.setattr(hand_signs.Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k)))
    images = np.zeros((3, 3, 8, 8), dtype=np.float32)
    signs = Dataset(images, np.array([0, 1, 0]), ("fist", "one"), "made up")
    hand_signs.show_signs(tmp_path / "signs.png", signs, np.array([0, 0, 0]))

    titles = [(axes.get_title(), axes.title.get_color()) for axes in drawn[0].axes[:4]]
    assert titles == [("fist, is one", "red"), ("fist", "black"), ("fist", "black"), ("", "black")]


def test_checkpoints_are_taken_up(few, tmp_path, monkeypatch):
    """Nothing is kept unless asked for; a folder with a training in it is gone on from, any other is begun."""
    asked = []
    monkeypatch.setattr(hand_signs, "train", lambda *given, **options: (asked.append(options), History())[1])
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / LAST).touch()
    for folder in (None, tmp_path / "new", tmp_path / "old"):
        hand_signs.learn(None, few, hand_signs.QUICK, folder)
    assert [(one["folder"], one["resume"]) for one in asked] == [
        (None, False),
        (tmp_path / "new", False),
        (tmp_path / "old", True),
    ]


def test_what_cannot_be_used_is_said(refused, tmp_path):
    """No folder, one without classes, an empty class, a file that is no photo, too few photos: words, exit code 2."""
    gone = refused(hand_signs.command, "--data", tmp_path / "none")
    assert gone.startswith(f"error: {tmp_path / 'none'}: no such folder of photos, got nothing there")
    empty = refused(hand_signs.command, "--data", tmp_path)
    assert empty.startswith(f"error: {tmp_path}: no classes to tell apart, got 0 folders in it")
    for name in "01":
        (tmp_path / name).mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "0" / "a.png")
    assert "classes without photos, got 1 empty folders of 2" in refused(hand_signs.command, "--data", tmp_path)
    (tmp_path / "1" / "b.png").write_text("no photo")
    assert "files that cannot be used as photos, got 1 of 2" in refused(hand_signs.command, "--data", tmp_path)
    Image.new("RGB", (9, 9)).save(tmp_path / "1" / "b.png")
    few = refused(hand_signs.command, "--data", tmp_path)
    assert few.startswith("error: split: too few images, got 2 for 1237 (train 1000, validation 117, test 120)")
    assert f"note: the data set is photos in {tmp_path} (2 in 2 classes" in few


@pytest.mark.usefixtures("in_full")
def test_the_accuracy_on_photos(show, shared_data, tmp_path):
    """At least 0.95 of 120 photos after 1,000, from scratch, within an hour; then both twins the same."""
    _, figures = show(hand_signs.command, "--data", shared_data / "data" / "signs", "--output", tmp_path)
    assert figures["test accuracy"] >= 0.95
    assert figures["minutes of training"] <= 60
    assert list(figures["twins"].values()) == [{"verdict": "same", "same layers": 175, "layers": 175}] * 2
