"""Shape errors, explained: the patterns people meet, the arithmetic of each, and what to change."""

from __future__ import annotations

from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shape_errors.in_place import explain_in_place
from layerdiff.compare.shape_errors.patterns import explain, explain_crash_finding, explain_difference
from layerdiff.compare.shape_errors.state_dicts import explain_state_dict

__all__ = [
    "Explanation",
    "explain",
    "explain_crash_finding",
    "explain_difference",
    "explain_in_place",
    "explain_state_dict",
]
