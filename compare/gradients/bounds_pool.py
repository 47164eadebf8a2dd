"""The gradients of pooling: every pixel adds up what the windows that see it hand to it.

A maximum hands all of g to one pixel: where a pixel wins one window or none nothing is rounded, and nothing allowed; of
n windows it is a sum without products, C·u·√n·Σ|g|.

An average hands g/size to each pixel of a window. That is a quotient, or a product with 1/size, or, in two steps, one
for the rows and one for the columns: at most two roundings, and so C·u·√(n + 2)·Σ|g|/size for a pixel in n windows. A
mean over whole axes is one window: n = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.allowance.rule import is_pair
from layerdiff.compare.gradients.bound import Allowed, magnitudes, of_sum
from layerdiff.compare.trace import Array, Op

__all__ = ["adaptive_avg_pool2d", "avg_pool2d", "max_pool2d", "mean"]


def max_pool2d(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """C·u·√n·Σ|g| where a pixel is the largest of n > 1 windows, of equal ones the first; else nothing."""
    names = ("kernel_size", "stride", "padding", "dilation")
    if not _are_maps(inputs, covector) or not all(is_pair(op.attributes.get(name)) for name in names):
        return None
    settings: dict[str, Any] = {name: op.attributes[name] for name in names}

    def pooled(x: Tensor) -> Tensor:
        found: Tensor = functional.max_pool2d(x, **settings, ceil_mode=bool(op.attributes.get("ceil_mode", False)))
        return found

    (x,) = inputs
    windows = magnitudes(pooled, x, np.ones_like(covector))
    summed = of_sum(windows, magnitudes(pooled, x, covector), x.dtype)
    return Allowed((np.where(windows > 1, summed, 0.0),))


def avg_pool2d(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """C·u·√(n + 2)·Σ|g|/size, n the windows that a pixel can be in."""
    names = ("kernel_size", "stride", "padding")
    divisor = op.attributes.get("divisor_override")
    if not _are_maps(inputs, covector) or not all(is_pair(op.attributes.get(name)) for name in names):
        return None
    if divisor is not None and (not isinstance(divisor, int) or divisor == 0):
        return None
    settings: dict[str, Any] = {name: op.attributes[name] for name in names}
    flags = {name: bool(op.attributes.get(name, default)) for name, default in _FLAGS.items()}
    # The gradient of what is divided by a negative number is negative.
    override = None if divisor is None else abs(divisor)

    def pooled(x: Tensor) -> Tensor:
        found: Tensor = functional.avg_pool2d(x, **settings, **flags, divisor_override=override)
        return found

    sizes = zip(settings["kernel_size"], settings["stride"], strict=True)
    n = math.prod(-(-k // s) for k, s in sizes)
    return Allowed((of_sum(n + 2, magnitudes(pooled, inputs[0], covector), inputs[0].dtype),))


_FLAGS = {"ceil_mode": False, "count_include_pad": True}


def adaptive_avg_pool2d(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """C·u·√(n + 2)·Σ|g|/size, n the windows that a pixel is in."""
    if not _are_maps(inputs, covector):
        return None
    (x,), size = inputs, covector.shape[2:]
    sums = magnitudes(lambda leaf: functional.adaptive_avg_pool2d(leaf, size), x, covector)
    rows, columns = (_windows(x.shape[axis], covector.shape[axis]) for axis in (2, 3))
    return Allowed((of_sum(np.outer(rows, columns) + 2, sums, x.dtype),))


def _windows(size: int, parts: int) -> Array:
    """In how many of the windows that share out `size` rows or columns each of these is."""
    counts = np.zeros(size)
    for i in range(parts):
        counts[i * size // parts : -(-(i + 1) * size // parts)] += 1
    return counts


def mean(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """C·u·√3·|g|/size for the mean over the dims in `dim`, all of them for None."""
    if len(inputs) != 1 or "dim" not in op.attributes:
        return None
    (x,), dims = inputs, op.attributes["dim"]
    listed = [dims] if isinstance(dims, int) else dims if isinstance(dims, tuple | list) else []
    if not all(isinstance(dim, int) and -x.ndim <= dim < x.ndim for dim in listed):
        return None
    over = {dim % x.ndim for dim in listed} or set(range(x.ndim))
    apart = tuple(1 if dim in over else size for dim, size in enumerate(x.shape))
    if covector.size != math.prod(apart):
        return None
    share = np.abs(covector, dtype=np.float64).reshape(apart) / (x.size / covector.size)
    return Allowed((of_sum(3, share, x.dtype),))


def _are_maps(inputs: Sequence[Array], covector: Array) -> bool:
    return len(inputs) == 1 and inputs[0].ndim == covector.ndim == 4
