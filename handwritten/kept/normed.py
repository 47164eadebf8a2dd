"""A convolution and the batch norm behind it, each for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.fused.folding import Kernel, affine
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Normed", "normed"]


@dataclass(frozen=True)
class Normed:
    """A convolution and the batch norm behind it, each for itself.

    Attributes:
        kernel: the convolution, its weights as they are.
        norm: the batch norm's name.
        scale: weight / sqrt(var + eps), (c_out,), float64.
        shift: bias - mean * scale, alike: what the batch norm adds to the scaled values.
    """

    kernel: Kernel
    norm: str
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


def normed(
    state: Mapping[str, Array], conv: str, norm: str, *, stride: int = 1, padding: int = 0, groups: int = 1
) -> Normed:
    """The convolution `conv`, and the batch norm `norm` as one factor and one summand, as torch computes it."""
    weight = np.asarray(state[f"{conv}.weight"], dtype=np.float64)
    bias = np.asarray(state.get(f"{conv}.bias", np.zeros(len(weight))), dtype=np.float64)
    return Normed(Kernel(conv, weight, bias, stride, padding, groups), norm, *affine(state, norm))
