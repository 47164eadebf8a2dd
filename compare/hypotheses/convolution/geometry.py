"""The geometry of windows: their settings, a convolution that has them, and the pads that other libraries use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional

from layerdiff.compare.allowance import is_pair
from layerdiff.compare.hypotheses.kit import Step, conv2d
from layerdiff.compare.hypotheses.ruled import moved
from layerdiff.compare.trace import Array, Op

__all__ = ["Geometry", "Pads", "needed_pads", "padded_conv2d", "same_pads"]

Pads = tuple[int, int, int, int]
"""Rows and columns beside a map: top, bottom, left, right; negative ones are cut off."""


@dataclass(frozen=True)
class Geometry:
    """How the windows of a convolution or a pooling lie."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @classmethod
    def of(cls, op: Op) -> Geometry | None:
        """Of an expected convolution or pooling; None where it is not plain."""
        weight, groups = op.parameters.get("weight"), op.attributes.get("groups", 1)
        kernel_size: Any = op.attributes.get("kernel_size")
        if op.kind == "conv2d" and weight is not None and weight.ndim == 4:
            kernel_size = (weight.shape[2], weight.shape[3])
        stride: Any = op.attributes.get("stride")
        padding: Any = op.attributes.get("padding")
        dilation: Any = op.attributes.get("dilation", (1, 1))
        if not isinstance(groups, int) or not all(map(is_pair, (kernel_size, stride, padding, dilation))):
            return None
        return cls(kernel_size, stride, padding, dilation, groups)

    @property
    def spans(self) -> tuple[int, int]:
        """Rows and columns that a window reaches over."""
        (kh, kw), (dh, dw) = self.kernel_size, self.dilation
        return dh * (kh - 1) + 1, dw * (kw - 1) + 1

    def step(self, weight: Array, bias: Array | None) -> Step:
        """A convolution of this geometry."""
        return conv2d(weight, bias, stride=self.stride, padding=self.padding, dilation=self.dilation,
                      groups=self.groups)  # fmt: skip


def padded_conv2d(
    geometry: Geometry,
    pads: Pads | Callable[[tuple[int, int]], Pads],
    weight: Array,
    bias: Array | None,
    *,
    mode: str = "constant",
    value: float = 0.0,
) -> Step:
    """A convolution with pads of its own on each side, the same ones always or those for the size of the map."""

    def prepare(x: Tensor) -> Tensor:
        top, bottom, left, right = pads((x.shape[2], x.shape[3])) if callable(pads) else pads
        if mode == "constant":
            return functional.pad(x, [left, right, top, bottom], value=value)
        return functional.pad(x, [left, right, top, bottom], mode=mode)

    bare = conv2d(weight, bias, stride=geometry.stride, dilation=geometry.dilation, groups=geometry.groups)
    return moved(prepare, bare)


def needed_pads(geometry: Geometry, size: tuple[int, int], size_out: tuple[int, int]) -> Pads:
    """The pads with which exactly `size_out` windows fit, where they begin as the geometry's own padding says."""
    (top, left), (bottom, right) = geometry.padding, (
        (out - 1) * s + span - pad - have
        for out, s, span, pad, have in zip(
            size_out, geometry.stride, geometry.spans, geometry.padding, size, strict=True
        )
    )  # fmt: skip
    return top, bottom, left, right


def same_pads(geometry: Geometry, size: tuple[int, int]) -> Pads:
    """What TensorFlow's SAME pads: as many windows as the stride goes into the map, the odd one below and right.

    Source: TensorFlow's documentation of tf.nn, "Notes on padding".
    """
    found: list[int] = []
    for have, s, span in zip(size, geometry.stride, geometry.spans, strict=True):
        total = max((-(-have // s) - 1) * s + span - have, 0)
        found += [total // 2, total - total // 2]
    top, bottom, left, right = found
    return top, bottom, left, right
