"""Batches and augmentations: every image once, an order for each epoch, and nothing but the generator decides."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from layerdiff.handwritten.training import batch_count, batches, in_turn, random_flip, random_shift

IMAGES = np.arange(1.0, 21.0, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 3, 4), dtype=np.float32)
LABELS = np.arange(20)


def epoch(number, **options):
    """The batches of an epoch as a list."""
    given = {"batch_size": 8, "seed": 3, **options}
    return list(batches(IMAGES, LABELS, epoch=number, **given))


@pytest.mark.parametrize(("batch_size", "sizes"), [(8, [8, 8, 4]), (10, [10, 10]), (1, [1] * 20), (64, [20])])
def test_every_image_comes_once_with_its_label(batch_size, sizes):
    """An epoch is the whole set in another order, cut into batches of which only the last may be smaller."""
    found = epoch(1, batch_size=batch_size)

    assert [len(labels) for _, labels in found] == sizes
    assert sorted(np.concatenate([labels for _, labels in found])) == LABELS.tolist()
    for images, labels in found:
        np.testing.assert_array_equal(images, IMAGES[labels])
    assert batch_count(20, batch_size, drop_last=False) == len(sizes)


def test_the_last_batch_can_be_dropped():
    """With drop_last all batches are full; which images are left out differs from epoch to epoch."""
    first, second = (epoch(number, drop_last=True) for number in (1, 2))

    assert [len(labels) for _, labels in first] == [8, 8]
    assert batch_count(20, 8, drop_last=True) == 2
    assert batch_count(24, 8, drop_last=True) == 3
    left_out = [set(LABELS) - set(np.concatenate([labels for _, labels in found])) for found in (first, second)]
    assert left_out[0] != left_out[1]


def test_seed_and_epoch_decide_the_order():
    """The same seed and epoch give the same order whatever came before; another of either gives another."""
    orders = {
        (seed, number): tuple(np.concatenate([labels for _, labels in epoch(number, seed=seed)]))
        for seed in (0, 1)
        for number in (1, 2)
    }

    assert len(set(orders.values())) == 4
    assert tuple(np.concatenate([labels for _, labels in epoch(2, seed=1)])) == orders[1, 2]


def test_batches_are_copies():
    """Who changes a batch in place does not change the set."""
    before = IMAGES.copy()
    for images, _ in epoch(1):
        images[...] = 0

    np.testing.assert_array_equal(before, IMAGES)


def test_augmentation_does_not_change_the_order_and_is_seeded():
    """With an augmentation the same images come at the same place, and are changed in the same way each time."""
    shift = partial(random_shift, pixels=1)
    plain, one, same, other = epoch(1), epoch(1, augment=shift), epoch(1, augment=shift), epoch(2, augment=shift)

    for (_, labels), (first, augmented), (second, _) in zip(plain, one, same, strict=True):
        np.testing.assert_array_equal(labels, augmented)
        np.testing.assert_array_equal(first, second)
    assert any((first != second).any() for (first, _), (second, _) in zip(one, other, strict=True))


def test_no_batch_is_refused():
    """An unusable batch size, and a batch larger than the set where only full ones count, are refused."""
    with pytest.raises(ValueError, match=r"batches: unusable batch_size, got 0, expected 1 or more"):
        epoch(1, batch_size=0)
    message = r"nothing to learn from, got 20 images in batches of 21 without the last one, expected a batch or more"
    with pytest.raises(ValueError, match=message):
        epoch(1, batch_size=21, drop_last=True)


def test_shift_moves_whole_images_and_fills_with_zeros():
    """Every image is one of the (2p+1)² moves of itself, padded with zeros; all of them occur."""
    generator = np.random.default_rng(0)
    image = generator.standard_normal((2, 5, 6))
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2)))
    moves = {padded[:, i : i + 5, j : j + 6].tobytes() for i in range(5) for j in range(5)}

    shifted = random_shift(np.stack([image] * 500), generator, pixels=2)

    assert shifted.shape == (500, 2, 5, 6)
    assert {found.tobytes() for found in shifted} == moves


def test_shift_fills_with_the_rim():
    """With "replicate" every place takes the nearest pixel: each image is one of the moves of itself so padded."""
    generator = np.random.default_rng(0)
    image = generator.standard_normal((2, 5, 6))
    rows, columns = (np.clip(np.arange(-2, size + 2), 0, size - 1) for size in (5, 6))
    padded = image[:, rows[:, None], columns]
    moves = {padded[:, i : i + 5, j : j + 6].tobytes() for i in range(5) for j in range(5)}

    shifted = random_shift(np.stack([image] * 500), generator, pixels=2, padding_mode="replicate")

    assert {found.tobytes() for found in shifted} == moves


def test_a_shift_by_nothing_changes_nothing():
    """With pixels=0 the images stay, as new arrays."""
    shifted = random_shift(IMAGES, np.random.default_rng(0), pixels=0)

    np.testing.assert_array_equal(IMAGES, shifted)
    assert not np.shares_memory(shifted, IMAGES)
    assert shifted.dtype == np.float32


def test_flip_mirrors_columns_of_some():
    """Each image is itself or its mirror image; with probability 0 none, 1 all, 1/2 about half."""
    generator = np.random.default_rng(0)
    images = generator.standard_normal((1000, 2, 3, 4))
    mirrored = (random_flip(images, generator) == images[..., ::-1]).all(axis=(1, 2, 3))
    kept = (random_flip(images, np.random.default_rng(1)) == images).all(axis=(1, 2, 3))

    assert 400 < mirrored.sum() < 600  # six standard deviations are 95
    assert 400 < kept.sum() < 600
    np.testing.assert_array_equal(images, random_flip(images, generator, probability=0))
    np.testing.assert_array_equal(images[..., ::-1], random_flip(images, generator, probability=1))


def test_a_flip_draws_for_each_image():
    """Where one image is mirrored another is not, and no image becomes a mixture."""
    images = np.random.default_rng(2).standard_normal((64, 1, 2, 4))
    flipped = random_flip(images, np.random.default_rng(3))
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == images[..., ::-1]).all(axis=(1, 2, 3))

    assert (same ^ mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_several_augmentations_in_turn():
    """`in_turn` applies one after the other, with the one generator."""
    both = in_turn(random_flip, partial(random_shift, pixels=1))
    images = np.random.default_rng(4).standard_normal((16, 1, 4, 4))
    generator = np.random.default_rng(5)
    expected = random_shift(random_flip(images, generator), generator, pixels=1)

    np.testing.assert_array_equal(expected, both(images, np.random.default_rng(5)))


def test_unusable_augmentations_are_refused():
    """A move below 0, a way to pad that is none, what is no probability, and what is no batch are refused."""
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="random_shift: unknown padding_mode, got 'edge', expected 'zeros' or 'repl"):
        random_shift(IMAGES, generator, pixels=1, padding_mode="edge")
    with pytest.raises(ValueError, match="random_shift: unusable pixels, got -1, expected 0 or more"):
        random_shift(IMAGES, generator, pixels=-1)
    with pytest.raises(ValueError, match=r"random_shift: not a batch of images, got shape \(2, 3, 4\)"):
        random_shift(IMAGES[0], generator, pixels=1)
    with pytest.raises(ValueError, match=r"random_flip: not a probability, got 1\.5"):
        random_flip(IMAGES, generator, probability=1.5)
    with pytest.raises(ValueError, match="random_flip: not a batch of images"):
        random_flip(IMAGES[0], generator)
