"""Poolings over windows as steps: with any pads, any number beside the map, and any kind of pooling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.allowance import Call, unit_roundoff
from layerdiff.compare.hypotheses.convolution.geometry import Geometry, Pads
from layerdiff.compare.hypotheses.kit import Step, avg_pool2d
from layerdiff.compare.hypotheses.ruled import moved, ruled
from layerdiff.compare.trace import Array

__all__ = ["POOLS", "PadsOf", "avg_windows", "lp_windows", "max_windows", "min_windows"]

PadsOf = Pads | Callable[[tuple[int, int]], Pads]


def _padded(x: Tensor, pads: PadsOf, value: float) -> Tensor:
    top, bottom, left, right = pads((x.shape[2], x.shape[3])) if callable(pads) else pads
    return functional.pad(x, [left, right, top, bottom], value=value)


def max_windows(geometry: Geometry, pads: PadsOf, value: float = -np.inf) -> Step:
    """The maximum of each window, exact; what lies beside the map is `value`."""
    return Step("max_pool2d", {}, {}, lambda x, p: functional.max_pool2d(
        _padded(x[0], pads, value), geometry.kernel_size, geometry.stride, dilation=geometry.dilation))  # fmt: skip


def min_windows(geometry: Geometry, pads: PadsOf) -> Step:
    """The minimum of each window, exact."""
    return Step("max_pool2d", {}, {}, lambda x, p: -functional.max_pool2d(
        _padded(-x[0], pads, -np.inf), geometry.kernel_size, geometry.stride, dilation=geometry.dilation))  # fmt: skip


def avg_windows(geometry: Geometry, pads: PadsOf) -> Step:
    """The average of each window, zeros beside the map counting."""
    return moved(lambda x: _padded(x, pads, 0.0), avg_pool2d(geometry.kernel_size, geometry.stride))


def lp_windows(geometry: Geometry, pads: PadsOf) -> Step:
    """The root of the sum of squares of each window."""
    n = geometry.kernel_size[0] * geometry.kernel_size[1]

    def allowance(call: Call) -> Array:
        # A sum of n squares, none negative: n + 2 roundings of itself on each side, and the root halves them.
        bound: Array = (n + 4) * unit_roundoff(call.output.dtype) * np.abs(call.output)
        return bound

    return ruled(allowance, lambda x, p: functional.lp_pool2d(
        _padded(x[0], pads, 0.0), 2.0, geometry.kernel_size, geometry.stride))  # fmt: skip


POOLS: Mapping[str, Callable[[Geometry, PadsOf], Step]] = MappingProxyType(
    {"max_pool2d": max_windows, "avg_pool2d": avg_windows}
)
"""The poolings that can be expected."""
