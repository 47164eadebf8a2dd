"""What a plan is made of: calls of NumPy functions on arrays that are already there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Call", "Group", "Step", "call", "copy"]


@dataclass(frozen=True)
class Call:
    """A NumPy function with all its arguments, and which arrays it touches.

    Attributes:
        run: does it.
        out: what it writes.
        inputs: what it reads.
    """

    run: Callable[[], object]
    out: Array
    inputs: tuple[Array, ...]


Group = tuple[Call, ...]
"""Calls on the same rows of an image, one after the other."""


@dataclass(frozen=True)
class Step:
    """One stretch of work, shared out among the threads.

    Attributes:
        parts: for each thread its groups. No thread touches in this step what another one writes in it.
        bands: which rows each group of each thread is about, alike for steps that cut the images alike.
        local: whether a group reads and writes these rows only.
    """

    parts: tuple[tuple[Group, ...], ...]
    bands: object = None
    local: bool = False


def call(function: Callable[..., Any], *inputs: Array, out: Array, **options: Any) -> Call:
    """`function(*inputs, out=out, **options)`, to be run later."""
    return Call(partial(function, *inputs, out=out, **options), out, inputs)


def copy(source: Array, out: Array) -> Call:
    """Copies `source` to `out`, to be run later."""
    return Call(partial(np.copyto, out, source), out, (source,))
