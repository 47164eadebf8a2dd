"""The table of networks."""

from __future__ import annotations

import pytest

from layerdiff.handwritten.configurations import CONFIGURATIONS, configuration


def test_an_unknown_network_is_refused_with_all_names_and_the_nearest():
    """A misspelt name costs one line of reading."""
    with pytest.raises(
        ValueError, match=r"^build: unknown network, got 'resnet5O', expected one of resnet18, "
    ) as caught:
        configuration("resnet5O")
    assert all(name in str(caught.value) for name in CONFIGURATIONS)
    assert caught.value.__notes__ == ["help: did you mean 'resnet50'?"]


def test_a_name_like_none_gets_no_guess():
    """Where nothing is near, nothing is suggested."""
    with pytest.raises(ValueError, match="unknown network") as caught:
        configuration("vgg")
    assert caught.value.__notes__ == ["help: choose one of the names above"]


def test_only_the_first_stage_of_a_basic_network_needs_no_projection():
    """The first stage keeps the resolution, so its shortcut projects only where a bottleneck widens it."""
    assert [stage.changes_shape for stage in configuration("resnet18").stages] == [False, True, True, True]
    assert [stage.changes_shape for stage in configuration("resnet50").stages] == [True, True, True, True]
