"""A convolution seen through a few mixtures of its output channels: cheap, and as telling as all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.hypotheses.convolution.geometry import Geometry, Pads
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.trace import Array

__all__ = ["Projection"]


class Projection:
    """The expected weight and the candidate's output, each mixed to `count` channels in the same seeded way.

    Args:
        site: a convolution.
        geometry: the expected one.
        count: of mixtures.
    """

    def __init__(self, site: Site, geometry: Geometry, count: int = 3) -> None:
        sample = site.clear
        self.x = np.ascontiguousarray(sample.inputs[0])
        dtype = self.x.dtype
        weight = site.op.parameters["weight"].astype(dtype)
        mix = np.random.default_rng(0).standard_normal((count, len(weight))).astype(dtype)
        self._mix = mix
        groups, per_group = geometry.groups, weight.shape[1]
        each = len(weight) // groups
        dense = np.zeros((count, per_group * groups, *weight.shape[2:]), dtype)
        for g in range(groups):
            rows = slice(g * each, (g + 1) * each)
            dense[:, g * per_group : (g + 1) * per_group] = np.tensordot(mix[:, rows], weight[rows], axes=1)
        self.weight = dense
        """The mixed filters, over all input channels: (count, c, kh, kw)."""
        bias = site.op.parameters.get("bias")
        self.bias = None if bias is None else mix @ bias.astype(dtype)
        self.got = self.mixed(sample.got.astype(dtype))

    def mixed(self, output: Array) -> Array:
        """An output of the convolution, mixed."""
        mixed: Array = np.einsum("po,nohw->nphw", self._mix, output, optimize=True)
        return mixed

    def at(
        self, geometry: Geometry, pads: Pads, prepare: Callable[[Tensor], Tensor] | None = None,
        *, mode: str = "constant", value: float = 0.0,
    ) -> Array:  # fmt: skip
        """The mixed output with other pads, stride and dilation, of what `prepare` makes of the input.

        Raises:
            RuntimeError: there is no room for a window.
        """
        top, bottom, left, right = pads
        x = torch.from_numpy(self.x)
        x = x if prepare is None else prepare(x).contiguous()
        sides = [left, right, top, bottom]
        padded = functional.pad(x, sides, value=value) if mode == "constant" else functional.pad(x, sides, mode=mode)
        weight = torch.from_numpy(self.weight)
        bias = None if self.bias is None else torch.from_numpy(self.bias)
        found: Array = functional.conv2d(padded, weight, bias, geometry.stride, 0, geometry.dilation).numpy()
        return found
