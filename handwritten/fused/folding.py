"""Batch norm folded into the convolution before it: in eval mode both are one affine map.

    gamma * (w x - mean) / sqrt(var + eps) + beta  =  (s w) x + (beta - s mean)    with s = gamma / sqrt(var + eps)

It is done in float64, so that the folded weights are rounded once, when they are laid out for the products.
Source: Ioffe & Szegedy, "Batch Normalization", 2015, section 3.1 (inference).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Kernel", "affine", "fold"]

_EPS = 1e-5


@dataclass(frozen=True)
class Kernel:
    """A convolution with the batch norm behind it folded in.

    Attributes:
        name: the convolution's, as in torchvision.
        weight: (c_out, c_in/groups, kh, kw), float64.
        bias: (c_out,), float64.
        stride: the step of the windows, alike for rows and columns.
        padding: rows and columns of zeros around the image.
        groups: into how many the channels are divided.
    """

    name: str
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def out_channels(self) -> int:
        """Channels of what it gives."""
        return len(self.weight)

    @property
    def in_channels(self) -> int:
        """Channels of what it takes."""
        return int(self.weight.shape[1] * self.groups)

    @property
    def size(self) -> int:
        """Rows, and columns, of the kernel."""
        return int(self.weight.shape[2])

    def output_size(self, size: int) -> int:
        """How many windows fit along `size` rows or columns."""
        return (size + 2 * self.padding - self.size) // self.stride + 1


def affine(state: Mapping[str, Array], norm: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By what the batch norm `norm` of a checked state dict multiplies each channel in eval mode, and what it adds."""
    gamma, beta, mean, var = (
        np.asarray(state[f"{norm}.{name}"], dtype=np.float64)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(var + _EPS)
    return scale, beta - scale * mean


def fold(
    state: Mapping[str, Array], conv: str, norm: str, *, stride: int = 1, padding: int = 0, groups: int = 1
) -> Kernel:
    """The convolution `conv` and the batch norm `norm` of a checked state dict as one."""
    scale, shift = affine(state, norm)
    weight = np.asarray(state[f"{conv}.weight"], dtype=np.float64) * scale[:, None, None, None]
    bias = shift
    if f"{conv}.bias" in state:
        bias = bias + scale * np.asarray(state[f"{conv}.bias"], dtype=np.float64)
    return Kernel(conv, weight, bias, stride, padding, groups)
