"""All hypotheses there are for a site, whatever its kind."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator

from layerdiff.compare.diagnosis.hypothesis import Hypothesis
from layerdiff.compare.diagnosis.site import Site

__all__ = ["hypotheses"]

# For as long as not all of them are written.
_NAMES = ("weights", "norms", "convs", "linears", "poolings", "activations", "additions", "flattens", "groups", "numerics")


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """What may be wrong at a site, the cheap and likely first; none of it is tried yet."""
    for name in _NAMES:
        if importlib.util.find_spec(f"layerdiff.compare.diagnosis.{name}") is not None:
            try:
                module = importlib.import_module(f"layerdiff.compare.diagnosis.{name}")
            except (ImportError, SyntaxError):  # while it is being written
                continue
            yield from module.hypotheses(site)
