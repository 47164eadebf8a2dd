"""Networks of both halves in the training loop: an interrupt changes no bit, and both halves learn alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from layerdiff.handwritten import numpy_layers as layers
from layerdiff.handwritten.optimisers import SGD, Adam, NonFiniteGradientError
from layerdiff.handwritten.schedules import CosineAnnealingLR, StepLR
from layerdiff.handwritten.training import (
    BEST,
    LAST,
    NumpyLearner,
    Plan,
    Progress,
    TrainingStoppedError,
    evaluate,
    random_shift,
    read_checkpoint,
    train,
)
from layerdiff.handwritten.training.torch_learner import TorchLearner


@dataclass
class Set:
    """Images and labels."""

    images: np.ndarray
    labels: np.ndarray


def draw(count, seed):
    """Three classes of 6x6 images that can be learned: a bright bar in another third, in noise."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = generator.standard_normal((count, 1, 6, 6)) * 0.5
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * label : 2 * label + 2] += 1
    return Set(images.astype(np.float32), labels)


TRAINING, VALIDATION, FIVE = draw(44, 0), draw(20, 1), draw(5, 3)


def numpy_learner(seed=0, *, dtype=np.float32, dropout=0.3, optimiser=Adam, **options):
    """A small network of the NumPy half with everything that has a state."""
    network = layers.Sequential(
        layers.Conv2d(1, 4, 3),
        layers.BatchNorm2d(4, momentum=None),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dropout(dropout, generator=np.random.default_rng(seed)),
        layers.Linear(64, 3),
    )
    generator = np.random.default_rng(seed)
    for _, layer in network.named_layers():
        layer.initialise(generator)
    network = network.astype(dtype)
    return NumpyLearner(network, optimiser(network.named_parameters(), **options))


def torch_learner(seed=0, *, dtype=torch.float32, dropout=0.3, optimiser=torch.optim.Adam, **options):
    """The same of torch's own layers."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4, momentum=None),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(64, 3),
    ).to(dtype)
    return TorchLearner(network, optimiser(network.parameters(), **options))


LEARNERS = {
    "numpy Adam": numpy_learner,
    "numpy SGD": partial(numpy_learner, optimiser=SGD, lr=0.1, momentum=0.9),
    "torch Adam": torch_learner,
    "torch SGD": partial(torch_learner, optimiser=torch.optim.SGD, lr=0.1, momentum=0.9),
}
PLAN = Plan(
    epochs=4, batch_size=8, lr=CosineAnnealingLR(0.01, T_max=24), seed=5, augment=partial(random_shift, pixels=1)
)
each_half = pytest.mark.parametrize("make", [numpy_learner, torch_learner], ids=["numpy", "torch"])


def interrupt(epoch, batch):
    """Breaks a training off where a keyboard would."""

    def on_batch(now: Progress):
        if (now.epoch, now.batch) == (epoch, batch):
            raise KeyboardInterrupt

    return on_batch


def assert_same(one, other):
    """Two states are the same to the bit."""
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert (array.dtype, array.shape) == (other[name].dtype, other[name].shape), name
        assert array.tobytes() == other[name].tobytes(), name


def told(error):
    """All that an error says."""
    return "\n".join([str(error.value), *error.value.__notes__])


@pytest.mark.parametrize("place", [(1, 1), (3, 2), (4, 6)], ids=str)
@pytest.mark.parametrize("name", LEARNERS)
def test_an_interrupt_changes_no_bit(tmp_path, name, place):
    """Broken off anywhere and resumed, by a learner that began elsewhere, everything is as without the interrupt."""
    whole = LEARNERS[name](seed=1)
    expected = train(whole, TRAINING, VALIDATION, PLAN, folder=tmp_path / "whole")

    with pytest.raises(KeyboardInterrupt):
        train(LEARNERS[name](seed=1), TRAINING, VALIDATION, PLAN, folder=tmp_path / "cut", on_batch=interrupt(*place))
    assert len(read_checkpoint(tmp_path / "cut" / LAST).history.epochs) == place[0] - 1
    resumed = LEARNERS[name](seed=2)
    history = train(resumed, TRAINING, VALIDATION, PLAN, folder=tmp_path / "cut", resume=True)

    assert history == expected
    assert_same(whole.state(), resumed.state())
    for file in (BEST, LAST):
        one, other = (read_checkpoint(tmp_path / folder / file) for folder in ("whole", "cut"))
        assert one.history == other.history
        assert_same(one.state, other.state)


@each_half
def test_it_learns_and_the_seed_decides(make):
    """Three easy classes are learned; the same seed gives the same numbers, another order of images other ones."""
    plan, other = (Plan(epochs=8, batch_size=8, lr=0.02, seed=seed) for seed in (1, 2))
    history = train(make(), TRAINING, VALIDATION, plan)

    assert history.epochs[-1].validation_accuracy > 0.9
    assert history.epochs[-1].loss < history.epochs[0].loss / 3
    assert train(make(), TRAINING, VALIDATION, plan) == history
    assert train(make(), TRAINING, VALIDATION, other) != history


@each_half
def test_the_best_checkpoint_evaluates_as_it_was_kept(tmp_path, make):
    """The best epoch's state, loaded into another learner, has that epoch's validation loss and accuracy."""
    history = train(make(), TRAINING, VALIDATION, PLAN, folder=tmp_path)
    best, learner = read_checkpoint(tmp_path / BEST), make(seed=9)
    learner.load_state(best.state)

    assert best.history.epochs == history.epochs[: history.best.number]
    assert evaluate(learner, VALIDATION, batch_size=8) == (
        history.best.validation_loss,
        history.best.validation_accuracy,
    )


@each_half
def test_more_epochs_can_be_added(tmp_path, make):
    """A finished training that is resumed with more epochs is what it would be in one go; with as many, it is done."""
    short, long = (Plan(epochs=epochs, batch_size=8, lr=0.01) for epochs in (2, 3))
    expected = train(make(), TRAINING, VALIDATION, long)
    before = train(make(), TRAINING, VALIDATION, short, folder=tmp_path)

    assert train(make(seed=4), TRAINING, VALIDATION, short, folder=tmp_path, resume=True) == before
    assert train(make(seed=4), TRAINING, VALIDATION, long, folder=tmp_path, resume=True) == expected


@pytest.mark.parametrize("name", ["numpy SGD", "torch SGD"])
def test_a_learning_rate_that_is_too_large_is_stopped(tmp_path, name):
    """Where the numbers overflow the training stops, says where and at which rate, and keeps the last good state."""
    good = train(LEARNERS[name](), TRAINING, VALIDATION, Plan(epochs=1, batch_size=8, lr=StepLR(0.01, 6, 1e30)))
    with pytest.raises(TrainingStoppedError) as error:
        train(
            LEARNERS[name](),
            TRAINING,
            VALIDATION,
            Plan(epochs=5, batch_size=8, lr=StepLR(0.01, 6, 1e30)),
            folder=tmp_path,
        )

    text = told(error)
    assert "train: stopped in epoch 2, batch " in text
    assert "not finite, got" in text
    assert "expected finite numbers" in text
    assert f"note: {tmp_path / LAST} holds the state after epoch 1, all of finite numbers" in text
    assert f"note: {tmp_path / BEST} holds the state after epoch 1, the best" in text
    assert "help: the learning rate was 1e+28 there; begin again with a smaller one" in text
    assert (error.value.history, error.value.epoch, error.value.checkpoint) == (good, 2, tmp_path / LAST)
    checkpoint = read_checkpoint(tmp_path / LAST)
    assert checkpoint.history == good
    assert all(np.isfinite(array).all() for array in checkpoint.state.values())


def one_by_one(make):
    """A learner of either half whose batch norm is left with maps of 1x1."""
    if make is numpy_learner:
        network = layers.Sequential(
            layers.Conv2d(1, 4, 6), layers.BatchNorm2d(4), layers.Flatten(), layers.Linear(4, 3)
        )
        return NumpyLearner(network, SGD(network.named_parameters(), lr=0.1))
    twin = nn.Sequential(nn.Conv2d(1, 4, 6), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3))
    return TorchLearner(twin, torch.optim.SGD(twin.parameters(), lr=0.1))


@each_half
def test_a_batch_of_one_with_1x1_maps(make):
    """A last batch of one image over 1x1 maps is refused in words by either half; without it the training runs."""
    with pytest.raises(ValueError, match="refuses a batch of one") as error:
        train(one_by_one(make), FIVE, FIVE, Plan(epochs=1, batch_size=4, lr=0.1))
    text = told(error)
    assert "train: epoch 1, batch 2 of 2: the network refuses a batch of one, got 1 image, expected 2 or more" in text
    assert "help: drop_last=True leaves out a last batch that is not full; or take another batch_size" in text
    assert {numpy_learner: "note: batch_norm_train: one value has no variance", torch_learner: "note: Expected more"}[
        make
    ] in text

    history = train(one_by_one(make), FIVE, FIVE, Plan(epochs=1, batch_size=4, lr=0.1, drop_last=True))
    assert len(history.epochs) == 1


@each_half
def test_a_batch_of_one_with_larger_maps(make):
    """Where a channel has more values than one, a batch of one is learned from like any other."""
    assert len(train(make(), FIVE, FIVE, Plan(epochs=1, batch_size=4, lr=0.1)).epochs) == 1


def test_other_errors_pass():
    """What a network says about images that do not fit is not wrapped."""
    colour = Set(np.zeros((4, 3, 6, 6), dtype=np.float32), np.zeros(4, dtype=np.int64))
    with pytest.raises(ValueError, match=r"^conv2d: wrong number of channels, got 3, expected 1"):
        train(numpy_learner(), colour, colour, PLAN)


@each_half
def test_a_loss_that_is_not_finite_moves_nothing(make):
    """Neither weights nor the optimiser move when the loss is not a number."""
    learner = make()
    learner.train_step(TRAINING.images[:8], TRAINING.labels[:8], 0.1)
    before = learner.state()
    loss, _ = learner.train_step(np.full((8, 1, 6, 6), 3e38, dtype=np.float32), TRAINING.labels[:8], 0.1)

    assert not np.isfinite(loss)
    kept = [name for name in before if name.startswith("optimiser.") or name.endswith(("weight", "bias"))]
    assert_same({name: before[name] for name in kept}, {name: learner.state()[name] for name in kept})


def test_torch_gradients_that_are_not_finite_move_nothing():
    """A finite loss with a gradient that is not is refused as the NumPy half's optimisers refuse it, by name."""
    learner = torch_learner()
    learner.loss = lambda logits, _: (logits[:, 0] * 0).sum().sqrt()
    before = learner.state()
    message = r"NaN or infinity in a gradient, got 0\.weight, 0\.bias, 1\.weight, 1\.bias, 5\.weight, 5\.bias, expected"
    with pytest.raises(NonFiniteGradientError, match=message) as error:
        learner.train_step(TRAINING.images[:8], TRAINING.labels[:8], 0.1)

    assert error.value.names == ("0.weight", "0.bias", "1.weight", "1.bias", "5.weight", "5.bias")
    weights = [name for name in before if name.endswith(("weight", "bias"))]
    assert_same({name: before[name] for name in weights}, {name: learner.state()[name] for name in weights})


@each_half
def test_a_state_is_a_copy(make):
    """What was asked for before a step is not changed by it."""
    learner = make()
    learner.train_step(TRAINING.images[:8], TRAINING.labels[:8], 0.1)
    state = learner.state()
    copied = {name: array.copy() for name, array in state.items()}
    learner.train_step(TRAINING.images[8:16], TRAINING.labels[8:16], 0.1)

    assert_same(copied, state)
    assert any((array != state[name]).any() for name, array in learner.state().items() if array.shape == (4,))


def spoilt(learner, **changes):
    """A learner's state after a step, some arrays replaced or with None left out."""
    learner.train_step(TRAINING.images[:8], TRAINING.labels[:8], 0.1)
    state = {**learner.state(), **{name.replace("__", "."): array for name, array in changes.items()}}
    return {name: array for name, array in state.items() if array is not None}


def refused(learner, state):
    """All that a learner says about a state; it stays as it was."""
    before = learner.state()
    with pytest.raises(ValueError, match=r"load_state(_dict)?: .*, got .*, expected ") as error:
        learner.load_state(state)
    assert_same(before, learner.state())
    return told(error)


@each_half
def test_the_state_of_another_network_is_refused(make):
    """What is missing, unexpected, misshapen or of another dtype is all said at once, and nothing is loaded."""
    changes = {
        "network__0__weight": None,
        "network__9__weight": np.zeros(2),
        "network__0__bias": np.zeros(5, dtype=np.float32),
        "network__5__bias": np.zeros(3),
        "what__ever": np.zeros(1),
    }
    text = refused(make(), spoilt(make(seed=1), **changes))

    assert "Learner.load_state: the state does not fit, got 5 problems, expected the" in text
    assert "note: missing: network.0.weight\n" in text
    assert "note: unexpected: network.9.weight, what.ever\n" in text
    assert "note: misshapen: network.0.bias (5,) instead of (4,)\n" in text
    assert "note: another dtype: network.5.bias float64 instead of float32" in text
    assert "help: nothing was loaded; build network and optimiser as they were when the state was saved" in text


def test_the_state_of_another_optimiser_is_refused():
    """Other hyperparameters, or another rule, are named by either half, and nothing is loaded."""
    numpy_adam, torch_adam = spoilt(numpy_learner(seed=1, eps=1e-6)), spoilt(torch_learner(seed=1, eps=1e-6))

    assert "another value: eps 1e-06 instead of 1e-08" in refused(numpy_learner(), numpy_adam)
    assert "missing: momentum" in refused(LEARNERS["numpy SGD"](), numpy_adam)
    assert "the optimiser does not fit, got group0.eps 1e-06 instead of 1e-08" in refused(torch_learner(), torch_adam)
    text = refused(LEARNERS["torch SGD"](), torch_adam)
    assert "group0.momentum is missing" in text
    assert "group0.betas is unexpected" in text
    assert "expected that of SGD" in text


def test_torch_buffers_that_do_not_fit_are_refused():
    """A buffer of another shape, or of a parameter that there is not, is named."""
    changes = {"optimiser__0__exp_avg": np.zeros((4, 1), dtype=np.float32), "optimiser__6__step": np.zeros(())}
    text = refused(torch_learner(), spoilt(torch_learner(seed=1), **changes))

    assert "0.exp_avg (4, 1) instead of (4, 1, 3, 3)" in text
    assert "6.step is unexpected" in text


def test_a_torch_optimiser_with_more_than_tensors_is_refused():
    """L-BFGS remembers lists of tensors, which no checkpoint holds, and that is said."""
    learner = torch_learner(optimiser=torch.optim.SGD)
    learner.optimizer.state[next(learner.network.parameters())]["old_dirs"] = [torch.zeros(1)]
    with pytest.raises(ValueError, match="an optimiser that remembers more than tensors, got a list, expected tensors"):
        learner.state()


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_every_random_generator_goes_on(kind):
    """A dropout's generator of any kind draws after loading what it would have drawn."""
    one, other = numpy_learner(), numpy_learner(seed=1)
    for learner, seed in ((one, 3), (other, 4)):
        vars(learner.network)["4"].generator = np.random.Generator(kind(seed))
    other.load_state(one.state())
    drawn = [vars(learner.network)["4"].generator.random(5) for learner in (one, other)]

    np.testing.assert_array_equal(*drawn)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"bit_generator": "MT19937"}'], ids=repr)
def test_what_is_no_state_of_the_generator_is_refused(content):
    """Bytes of something else, and another kind of generator, are refused before anything is loaded."""
    state = spoilt(numpy_learner(seed=1), random__4__generator=np.frombuffer(content, dtype=np.uint8))
    text = refused(numpy_learner(), state)

    found = "MT19937" if b"MT" in content else "None"
    assert f"other random generators, got 4.generator {found}, expected 4.generator PCG64" in text
    state = spoilt(numpy_learner(seed=1), random__4__generator=None)
    assert "other random generators, got none, expected 4.generator PCG64" in refused(numpy_learner(), state)


def test_both_halves_learn_alike():
    """In float64, from the same weights, the losses of both halves differ by no more than rounding can make them.

    What rounding can do is measured: the NumPy half is trained again from weights moved at random by up to 64 units of
    roundoff each, 64 being the longest sum of a layer: a sum of n terms, as computed, is the exact sum of terms moved
    by up to n units (Higham 2002, section 3.1). The worst of eight such moves is the bound. It is 3e-15 here, and the
    two halves differ by 2e-16, in losses from 0.1 to 1.5.
    """
    make = partial(numpy_learner, dtype=np.float64, dropout=0.0, optimiser=SGD, lr=0.05, momentum=0.9)
    twin = torch_learner(dtype=torch.float64, dropout=0.0, optimiser=torch.optim.SGD, lr=0.05, momentum=0.9)
    state = make(seed=3).network.state_dict()
    twin.network.load_state_dict({name: torch.tensor(array) for name, array in state.items()}, strict=False)
    plan = Plan(epochs=2, batch_size=8, lr=0.05, seed=2)

    def losses(learner):
        found = []
        step = learner.train_step
        learner.train_step = lambda *given: found.append(result := step(*given)) or result
        history = train(learner, TRAINING, VALIDATION, plan)
        validation = [epoch.validation_loss for epoch in history.epochs]
        return np.array([loss for loss, _ in found] + validation), [right for _, right in found]

    def moved(seed):
        learner, generator = make(seed=3), np.random.default_rng(seed)
        for array in learner.network.parameters():
            array[...] *= 1 + generator.uniform(-64, 64, array.shape) * 2.0**-53
        return losses(learner)[0]

    (numpy_losses, numpy_right), (torch_losses, torch_right) = losses(make(seed=3)), losses(twin)
    bound = np.max([np.abs(moved(seed) - numpy_losses).max() for seed in range(8)])

    assert len(numpy_losses) == 14
    assert bound < 1e-12
    assert np.abs(numpy_losses - torch_losses).max() <= bound
    assert numpy_right == torch_right
