"""The split of a data set: exact counts, no image twice, every class its share, the same seed the same parts."""

from __future__ import annotations

import numpy as np
import pytest

from layerdiff.reference.datasets import Dataset, split

SIZES = (50, 103, 7, 240)


@pytest.fixture(scope="module")
def dataset():
    """400 images of four classes of very different size, each image with its own number in it."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(4), SIZES))
    images = np.arange(len(labels), dtype=np.float32).reshape(-1, 1, 1, 1)
    return Dataset(images, labels, ("a", "b", "c", "d"), "numbers")


def parts_of(splits):
    """The three parts in order."""
    return splits.train, splits.validation, splits.test


def numbers(part):
    """The numbers of a part's images."""
    return part.images.ravel().astype(int)


@pytest.mark.parametrize("counts", [(300, 60, 40), (200, 20, 20), (1, 1, 1), (398, 1, 1)], ids=str)
def test_counts_are_exact_and_nothing_is_in_two_parts(dataset, counts):
    """Every part has as many images as asked, each from the set with its own label, none of them twice."""
    parts = parts_of(split(dataset, train=counts[0], validation=counts[1], test=counts[2], seed=7))
    taken = np.concatenate([numbers(part) for part in parts])

    assert tuple(len(part) for part in parts) == counts
    assert len(set(taken)) == sum(counts)
    for part in parts:
        np.testing.assert_array_equal(dataset.labels[numbers(part)], part.labels)
        assert part.classes == dataset.classes


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("counts", [(300, 60, 40), (250, 30, 20)], ids=str)
def test_every_class_has_its_share(dataset, counts, seed):
    """In every part each class is its share of the whole to within the bound that `split` states."""
    parts = parts_of(split(dataset, train=counts[0], validation=counts[1], test=counts[2], seed=seed))
    shares = np.array(SIZES) / sum(SIZES)
    bound = 2 * (0.5 + shares * len(SIZES) / 2)

    for part in parts:
        assert (np.abs(np.bincount(part.labels, minlength=4) - shares * len(part)) <= bound).all()


def test_the_seed_decides(dataset):
    """The same seed gives the same bytes in the same order, another seed another choice."""
    one, same, other = (split(dataset, train=100, validation=50, test=50, seed=seed) for seed in (3, 3, 4))

    for first, second, third in zip(parts_of(one), parts_of(same), parts_of(other), strict=True):
        assert first.images.tobytes() == second.images.tobytes()
        assert first.labels.tobytes() == second.labels.tobytes()
        assert set(numbers(first)) != set(numbers(third))


def test_images_of_a_class_are_drawn_at_random(dataset):
    """Which images of a class go where depends on the seed, and not on their order in the set."""
    hits = np.zeros(len(dataset))
    for seed in range(400):
        hits[numbers(split(dataset, train=100, validation=1, test=1, seed=seed).train)] += 1

    # 400 draws with probability 1/4: six standard deviations are 52, and one in 1e9 of 400 images is beyond.
    assert np.abs(hits - 100).max() < 52


def test_the_source_says_which_part(dataset):
    """A part remembers what it is a part of, and by which seed."""
    assert split(dataset, train=10, validation=5, test=5, seed=9).validation.source == (
        "numbers: validation part of 5, seed 9"
    )


def test_unusable_counts(dataset, refusal):
    """Counts below 1, more images than there are, and a seed below 0 are refused with all the counts."""
    text = refusal(split, dataset, train=10, validation=0, test=5)
    assert "split: unusable counts or seed, got train 10, validation 0, test 5, seed 0, expected" in text
    assert "seed -1, expected" in refusal(split, dataset, train=1, validation=1, test=1, seed=-1)

    text = refusal(split, dataset, train=390, validation=6, test=5)
    assert "split: too few images, got 400 for 401 (train 390, validation 6, test 5), expected at most all" in text
    assert "note: the data set is numbers" in text
