"""Layers whose numbers were worked out in float32 when the network was written to a file."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.drafts import Group
from layerdiff.compare.trace import Array, Op

__all__ = ["rounded_root"]

_ULPS = 4
"""A root, a quotient and a product are each rounded by half a unit in the last place; a root may take two."""


def rounded_root(group: Group) -> str:
    """Why a batch norm out of a file can be judged in float32 alone, in words; empty where it can be judged in float64.

    Whoever writes a network to a file works out what is constant, and among that sqrt(var + eps), in float32. It is
    recognised by its values, all of them, so that another eps is no excuse.
    """
    op = group.expected[0]
    if len(group.expected) > 1 or op.kind != "batch_norm" or not {"running_var", "weight"} <= op.parameters.keys():
        return ""
    stored = [one for one in group.actual if one.stored]
    if len(stored) < len(group.actual) or any(len(one.parameters) > 1 for one in stored):
        return ""
    wanted = _roots(op)
    have = [array.reshape(-1) for one in stored for array in one.parameters.values() if array.dtype == np.float32]
    met = any(_is_rounded(array, root) for array in have for root in wanted)
    return "it holds the root of the variance, worked out in float32" if met else ""


def _roots(op: Op) -> list[Array]:
    eps = op.attributes.get("eps", 0.0)
    variance, gamma = (op.parameters[role].astype(np.float64) for role in ("running_var", "weight"))
    root = np.sqrt(variance + (eps if isinstance(eps, float) else 0.0))
    return [root, 1 / root, gamma / root]


def _is_rounded(have: Array, want: Array) -> bool:
    if have.shape != want.shape:
        return False
    return bool(np.all(np.abs(have - want) <= _ULPS * np.spacing(np.abs(want).astype(np.float32))))
