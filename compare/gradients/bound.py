"""What the allowance of a vector-Jacobian product is, and the formula of the sums that most of them are.

A gradient is a sum of n products t_i, over a window of a convolution or over the rows of a batch. In any order it
errs by at most n·u·Σ|t_i|. Rounding errors are of both signs and nearly independent, and then n becomes √n (Higham &
Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019). So one implementation
errs by at most about u·√n·Σ|t_i|, and two of them lie apart by at most

    C · u · √n · Σ|t_i|

Unlike the forward allowance (`allowance.accumulation`) this takes the terms' magnitudes themselves and not the product
of two norms above them: a gradient is often a sum of which most terms are zero behind a ReLU. Each rounding that a term
meets beside its product and the sum counts as one more term.

Equal terms are not independent: added one after the other they are all rounded the same way, and then n errors add up.
They do occur, behind an average pooling for instance, whose gradient is the same all over a map. With the most frequent
term standing m times among n, n/m groups are independent, and √n becomes m·√(n/m) = √(n·m): √n for m = 1, and for m = n
the n that always holds. m is counted in the covector, channel by channel (`alike`), zeros aside: adding them is exact.

The constant is the forward one, `accumulation.CONSTANT` = 4, 2 for one implementation. For n up to 4 that always holds,
as n <= 2√n. Beyond it is measured. In units of u·√n·Σ|t| the worst error of torch's and of the handwritten kernels
over some 150 convolutions and 80 linear layers, in float32 and float64, with and without exact zeros, with covectors of
both signs, of one and all equal, was 1.43, in the gradient of a weight over 10 rows; dx of a convolution 1.31. Float32
sums of unequal terms, made one after the other, of up to 50,176 terms, reached 1.61 at n = 5, and less in longer ones
(0.95 from n = 1000). So the margin is 1.4 over a pair of the worst kernels. Without m, torch's float32 gradient of a
bias over 16 maps of 56x56 with an all equal covector was at 38 of these units. What is left out: terms that are not
equal, but closer to each other than their long sum can tell; in float64 they would agree to some twelve digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from layerdiff.compare.allowance.accumulation import CONSTANT
from layerdiff.compare.allowance.rule import smallest_normal, unit_roundoff
from layerdiff.compare.trace import Array, Op

__all__ = ["Allowed", "Bound", "alike", "exactly", "magnitudes", "of_sum", "tensor"]


@dataclass(frozen=True)
class Allowed:
    """The largest difference that rounding explains between the gradients of two right implementations.

    Attributes:
        inputs: for each input of the operation a float64 array that broadcasts to its shape; None where not known.
        parameters: likewise, by role (weight, bias), those that are known.
    """

    inputs: tuple[Array | None, ...] = field(repr=False)
    parameters: Mapping[str, Array] = field(default_factory=lambda: MappingProxyType({}), repr=False)


Bound = Callable[[Op, Sequence[Array], Array], Allowed | None]
"""Takes an operation, its inputs and the gradient of its output; None where it is in a form that is not known."""


def of_sum(n: int | Array, magnitude: Array, dtype: np.dtype[Any]) -> Array:
    """C·u·√n·Σ|t|, and what underflow may take.

    Args:
        n: how many terms are added, and how many roundings more each of them meets; broadcasts against `magnitude`.
        magnitude: Σ|t|, float64.
        dtype: the one that was computed in.
    """
    allowed: Array = CONSTANT * (unit_roundoff(dtype) * np.sqrt(n) * magnitude + n * smallest_normal(dtype))
    return allowed


def alike(covector: Array) -> Array:
    """How often the most frequent value but zero stands in each channel (axis 1): (c,) float64, at least 1."""
    channels = covector.shape[1]
    rows = np.sort(np.moveaxis(covector, 1, 0).reshape(channels, -1), axis=1)
    begins = np.ones(rows.shape, dtype=np.bool_)
    begins[:, 1:] = rows[:, 1:] != rows[:, :-1]
    places = np.flatnonzero(begins)
    lengths = np.diff(places, append=rows.size)
    lengths[rows.reshape(-1)[places] == 0] = 1
    most = np.ones(channels)
    np.maximum.at(most, places // max(rows.shape[1], 1), lengths)
    return most


def exactly(like: Array) -> Array:
    """Nothing: an array of zeros that broadcasts to the shape of `like`."""
    return np.zeros((1,) * like.ndim)


def tensor(array: Array) -> torch.Tensor:
    """The magnitudes of an array, float64."""
    return torch.from_numpy(np.abs(array, dtype=np.float64))


def magnitudes(function: Callable[[torch.Tensor], torch.Tensor], x: Array, covector: Array) -> Array:
    """Σ|t| for each input of a function whose derivatives are not negative: its own gradient, of |covector|.

    Args:
        function: of torch.
        x: where it is differentiated.
        covector: the gradient of its output.
    """
    with torch.enable_grad():
        leaf = torch.from_numpy(np.array(x, dtype=np.float64)).requires_grad_()
        (found,) = torch.autograd.grad(function(leaf), leaf, tensor(covector))
    return np.asarray(found.numpy())
