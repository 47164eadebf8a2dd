"""Assertions for tests of your own: is this network that one, layer by layer? docs/pytest.md says how.

The names below are imported when they are first used: a test session that compares nothing does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layerdiff.testing.assertions import assert_same_network, assert_traces_close
    from layerdiff.testing.per_layer import each_layer

__all__ = ["assert_same_network", "assert_traces_close", "each_layer"]

_HOMES = {
    "assert_same_network": "assertions",
    "assert_traces_close": "assertions",
    "each_layer": "per_layer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'layerdiff.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"layerdiff.testing.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
