"""The gradients of what works on single values: moved, cut, added, multiplied, bent.

With the gradient g of the output, L = `smooth.LIBRARY` for a library's function, and in units of u, to first order, for
one implementation (two may err in opposite directions, hence twice that):

    what moves or cuts     g or nothing: exact
    add, sub               g or -g: exact; where an input was broadcast a sum over its copies, see `bound`
    mul                    g·y: 1, and a sum likewise
    leaky_relu, x <= 0     g·slope: 2, with one for the rounding of the slope
    tanh                   g·(1 - y²): y errs by (L + 4)·|y|, in either of its forms (`allowance.smooth`), and enters
                           twice; its square rounds, and so do difference and product:
                               |g|·((2(L + 4) + 1)·y² + 2·(1 - y²))
    sigmoid                g·(1 - y)·y: y errs by (L + 3)·y:  |g|·y·((L + 3)·y + (L + 3)·(1 - y) + 3·(1 - y))
    elu, x <= 0            g·α·eˣ: L + 3, or g·(y + α) from the output y: (L + 2)·|y| + 2·|y + α| as in the forward,
                           and |y| + |y + α| = |α|:  (L + 3)·|g·α|
    selu                   likewise, one factor more: (L + 4)·|g|·αλ; 2·|g|·λ where x > 0
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from layerdiff.compare.allowance.rule import smallest_normal, unit_roundoff
from layerdiff.compare.allowance.smooth import LIBRARY
from layerdiff.compare.gradients.bound import Allowed, exactly, of_sum
from layerdiff.compare.trace import Array, Op

__all__ = ["add", "elu", "exact", "leaky_relu", "mul", "selu", "sigmoid", "sub", "tanh"]

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


def exact(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """Nothing, for any number of inputs; None in training mode, where a dropout draws."""
    return None if op.attributes.get("training", False) else Allowed(tuple(exactly(array) for array in inputs))


def add(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """Nothing; C·u·√n·Σ|g| for an input of which n copies were added."""
    if len(inputs) not in {1, 2} or "alpha" in op.attributes:
        return None
    g = np.abs(covector, dtype=np.float64)
    return Allowed(tuple(_gathered(g, array, products=False) for array in inputs))


sub = add


def mul(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """C·u·√n·Σ|g·y| for an input of which n copies were multiplied; None where the factor is no input."""
    if len(inputs) != 2:
        return None
    a, b = inputs
    sizes = np.abs(covector * b.astype(np.float64)), np.abs(covector * a.astype(np.float64))
    return Allowed(tuple(_gathered(size, array, products=True) for size, array in zip(sizes, inputs, strict=True)))


def _gathered(terms: Array, like: Array, *, products: bool) -> Array:
    """The allowance of adding terms up over the axes along which `like` was broadcast."""
    shape = (1,) * (terms.ndim - like.ndim) + like.shape
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1 and terms.shape[axis] != 1)
    if not axes and not products:
        return exactly(like)
    total = terms.sum(axis=axes, keepdims=True)
    return of_sum(terms.size // total.size, total, like.dtype).reshape(like.shape)


def leaky_relu(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """4·u·|g·slope| where x is not positive, else nothing."""
    slope = op.attributes.get("negative_slope")
    if not isinstance(slope, int | float):
        return None
    return _counted(inputs, np.where(inputs[0] > 0, 0.0, 2 * abs(slope)), covector)


def tanh(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """2·u·|g|·((2L + 9)·y² + 2·(1 - y²))."""
    square = np.tanh(inputs[0].astype(np.float64)) ** 2
    return _counted(inputs, (2 * LIBRARY + 9) * square + 2 * (1 - square), covector)


def sigmoid(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """2·u·|g|·y·((L + 3) + 3·(1 - y))."""
    small = np.exp(-np.abs(inputs[0].astype(np.float64)))
    y, rest = np.where(inputs[0] < 0, small, 1.0) / (1 + small), np.where(inputs[0] < 0, 1.0, small) / (1 + small)
    return _counted(inputs, y * (LIBRARY + 3 + 3 * rest), covector)


def elu(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """2·u·(L + 3)·|g·α| where x is not positive, else nothing."""
    alpha = op.attributes.get("alpha")
    if not isinstance(alpha, int | float):
        return None
    return _counted(inputs, np.where(inputs[0] > 0, 0.0, (LIBRARY + 3) * abs(alpha)), covector)


def selu(op: Op, inputs: Sequence[Array], covector: Array) -> Allowed | None:
    """2·u·(L + 4)·|g|·αλ where x is not positive, 4·u·|g|·λ where it is."""
    below = (LIBRARY + 4) * _SELU_ALPHA * _SELU_SCALE
    return _counted(inputs, np.where(inputs[0] > 0, 2 * _SELU_SCALE, below), covector)


def _counted(inputs: Sequence[Array], errors: Array, covector: Array) -> Allowed | None:
    """Twice the errors of one implementation, given in units of u·|g|; what is allowed nothing stays so."""
    if len(inputs) != 1 or inputs[0].shape != covector.shape:
        return None
    dtype: np.dtype[Any] = inputs[0].dtype
    size = np.abs(covector, dtype=np.float64)
    # What underflows on the way loses at most the smallest normal number, and its product with g.
    lost = np.where(errors > 0, smallest_normal(dtype) * (1 + size), 0.0)
    return Allowed((2 * (unit_roundoff(dtype) * errors * size + lost),))
