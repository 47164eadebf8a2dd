"""What the tests of `reference` share: one set of weights, and an error's whole text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from layerdiff.errors import InputError
from layerdiff.reference import Weights, load_weights


@pytest.fixture(scope="session")
def resnet18() -> Weights:
    """synthetic:0 for the smallest network."""
    return load_weights("synthetic", "resnet18")


@pytest.fixture
def tensors(resnet18) -> dict[str, np.ndarray]:
    """The tensors of `resnet18`, in a dict of one's own; copy an array before changing it."""
    return dict(resnet18.state)


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Calls what must raise InputError and returns all it says; its message is one line in the agreed form."""

    def text(call, *args, **kwargs) -> str:
        with pytest.raises(InputError) as caught:
            call(*args, **kwargs)
        message = str(caught.value)
        assert "\n" not in message
        assert ": " in message
        assert ", got " in message
        assert ", expected " in message
        return "\n".join([message, *getattr(caught.value, "__notes__", [])])

    return text
