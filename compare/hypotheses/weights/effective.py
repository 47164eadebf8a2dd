"""Weights that a candidate computes with though it holds others, or shows none: tried on a few windows first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from layerdiff.compare.allowance.accumulation import CONSTANT, accumulation_scale
from layerdiff.compare.hypotheses.channelwise import number, same_shapes, snapped
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.weights.causes import cause_of, with_parameters
from layerdiff.compare.hypotheses.weights.relations import Relation, turned
from layerdiff.compare.hypotheses.weights.tensor_pool import pool_of
from layerdiff.compare.trace import Array, Op

__all__ = ["effective"]

_CHANNELS = 8
_PLACES = 3


def effective(site: Site) -> Iterator[Hypothesis]:
    """Kernels that explain what a convolution gives: the expected one turned, scaled, or another layer's.

    Each is tried on a few windows of a few output channels; what these refute the whole would refute too.

    Args:
        site: of an expected convolution; of a linear layer `linears` knows more.
    """
    op = site.op
    if op.kind != "conv2d" or not same_shapes(site):
        return
    weight = op.parameters["weight"]
    windows = [one for sample in site.samples for one in _windows(op, sample)]
    bias = op.parameters.get("bias")
    explained: list[Array] = []
    for one, kernel in _kernels(site, windows):
        # With as many input as output channels one kernel may be had in two ways: the first is the likelier.
        if all(window.fits(kernel, bias) for window in windows):
            if any(np.array_equal(kernel, other) for other in explained):
                continue
            explained.append(kernel)
            cause = cause_of(one, "weight", op)
            yield Hypothesis(
                cause.code, cause.title, cause.change, model=with_parameters(op, {"weight": kernel}),
                evidence=(f"it computes as if of its kernel: {one.text}",), rank=2,
            )  # fmt: skip
    yield from _bias(site, weight)


def _kernels(site: Site, windows: list[_Window]) -> Iterator[tuple[Relation, Array]]:
    weight, bias = site.op.parameters["weight"], site.op.parameters.get("bias")
    yield from turned(weight)
    zero = 0.0 if bias is None else bias.astype(np.float64).reshape(1, -1, 1, 1)
    part, whole = site.clear.got - zero, site.clear.want - zero
    with np.errstate(all="ignore"):
        raw = float(np.vdot(part, whole) / np.vdot(whole, whole))
    k = snapped(raw, lambda k: all(window.fits(k * weight.astype(np.float64), bias) for window in windows))
    if k is not None and k != 1:
        text = "its sign is changed" if k == -1 else f"it is {number(k)} times the expected one"
        yield Relation("scaled", text, value=k), k * weight.astype(np.float64)
    for other in pool_of(site.weights).of_shape(weight.shape):
        if other.layer != site.layer and not np.array_equal(other.array, weight):
            yield Relation("another layer", f"it is {other.layer}'s", other=(other.layer, other.role)), other.array


def _bias(site: Site, weight: Array) -> Iterator[Hypothesis]:
    """A constant for each output channel that is nowhere shown."""
    if "bias" in site.op.parameters or site.own("bias") is not None:
        return
    apart = (site.clear.got - site.clear.want).astype(np.float64)
    found = apart.mean(axis=(0, 2, 3))
    if not found.any() or not np.isfinite(found).all():
        return
    # A constant leaves next to nothing once it is taken away; anything else is no constant.
    if float(np.abs(apart - found.reshape(1, -1, 1, 1)).max()) > 1e-6 * float(np.abs(apart).max()):
        return
    yield Hypothesis(
        "B8", "a constant is added to each output channel", "leave the bias out: the reference has none here",
        model=with_parameters(site.op, {"bias": found}), rank=2,
        evidence=(f"the constants are up to {np.abs(found).max():.3g}",),
    )  # fmt: skip


@dataclass(frozen=True)
class _Window:
    """What lies under one place of the output, and what the candidate gives there.

    Attributes:
        patches: (channels, c_in // groups, kh, kw) float64: for each output channel looked at its window.
        channels: those that are looked at.
        got: (channels,).
        dtype: the precision that was computed in.
    """

    patches: Array = field(repr=False)
    channels: Array
    got: Array = field(repr=False)
    dtype: np.dtype[Any]

    def fits(self, kernel: Array, bias: Array | None) -> bool:
        """Whether a kernel gives that: to twice the allowance, as the model that is tried later errs too."""
        chosen = kernel[self.channels].astype(np.float64)
        axes = (1, 2, 3)
        added = None if bias is None else bias[self.channels].astype(np.float64)
        made = (chosen * self.patches).sum(axis=axes) + (0.0 if added is None else added)
        norms = np.sqrt(np.square(chosen).sum(axis=axes))
        reach = np.sqrt(np.square(self.patches).sum(axis=axes))
        allowed = CONSTANT * accumulation_scale(chosen[0].size, norms, reach, self.dtype, bias=added)
        return bool((np.abs(self.got - made) <= 2 * allowed).all())


def _windows(op: Op, sample: Sample) -> Iterator[_Window]:
    attributes = cast(dict[str, Any], dict(op.attributes))
    (sh, sw), (ph, pw), (dh, dw) = (attributes[name] for name in ("stride", "padding", "dilation"))
    out, c_group, kh, kw = op.parameters["weight"].shape
    channels = np.unique(np.linspace(0, out - 1, min(out, _CHANNELS)).astype(int))
    groups = channels // (out // int(attributes["groups"]))
    # In the middle, where a window meets no border, and beside it.
    height, width = sample.want.shape[2:]
    x = np.pad(sample.inputs[0][0].astype(np.float64), ((0, 0), (ph, ph), (pw, pw)))
    for place in range(_PLACES):
        i, j = min(height - 1, height // 2 + place), max(0, width // 2 - place % 2)
        window = x[:, i * sh : i * sh + (kh - 1) * dh + 1 : dh, j * sw : j * sw + (kw - 1) * dw + 1 : dw]
        patches = np.stack([window[g * c_group : (g + 1) * c_group] for g in groups])
        yield _Window(patches, channels, sample.got[0, channels, i, j].astype(np.float64), sample.got.dtype)
