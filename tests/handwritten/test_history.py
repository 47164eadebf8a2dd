"""The history of a training: which epoch was best, and the same numbers after JSON."""

from __future__ import annotations

import pytest

from layerdiff.handwritten.training import Epoch, History


def history(*validation):
    """A history of these validation accuracies and losses."""
    return History(tuple(Epoch(i, 0.1, 1.0, 0.5, loss, right) for i, (right, loss) in enumerate(validation, start=1)))


@pytest.mark.parametrize(
    ("validation", "best"),
    [
        ([(0.5, 1.0), (0.7, 1.2), (0.6, 0.9)], 2),
        ([(0.7, 1.0), (0.7, 0.9), (0.7, 1.1)], 2),
        ([(0.7, 1.0), (0.6, 0.5), (0.7, 1.0)], 1),
    ],
    ids=["highest accuracy", "then lowest loss", "then the first"],
)
def test_the_best_epoch(validation, best):
    """Accuracy decides, among equals the loss, then the earlier epoch."""
    assert history(*validation).best.number == best


def test_no_epoch_is_best_of_none():
    """Before the first epoch there is no best one, and that is said."""
    with pytest.raises(ValueError, match=r"History\.best: no epoch yet, got 0, expected 1 or more"):
        assert History().best


def test_the_same_numbers_after_json():
    """Numbers are read back to the bit, thirds and the smallest among them."""
    before = History((Epoch(1, 0.1 + 0.2, 1 / 3, 2 / 3, 5e-324, 1.0), Epoch(2, 1e-300, 1e300, 0.0, 1.0, 0.1)))

    assert History.from_json(before.to_json()) == before
    assert History.from_json(History().to_json()) == History()


@pytest.mark.parametrize("text", ["", "[]", '{"epochs": [{"number": 1}]}', '{"epochs": 3}'])
def test_other_json_is_refused(text):
    """What is no history is refused in words."""
    with pytest.raises(ValueError, match=r"History\.from_json: not a history, got .*, expected what to_json writes"):
        History.from_json(text)


def test_an_epoch_more():
    """A history does not change; another one has the epoch more."""
    first = history((0.5, 1.0))
    second = first.with_epoch(Epoch(2, 0.1, 1.0, 0.5, 1.0, 0.5))

    assert len(first.epochs) == 1
    assert second.epochs == (*first.epochs, Epoch(2, 0.1, 1.0, 0.5, 1.0, 0.5))
