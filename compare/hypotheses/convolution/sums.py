"""Causes at a convolution that lie in its sum: a term that is missing or counted twice, or all of it scaled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from layerdiff.compare.hypotheses.convolution.geometry import Geometry, Pads, needed_pads
from layerdiff.compare.hypotheses.convolution.projection import Projection
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import factor, near, spelled, tolerance
from layerdiff.compare.trace import Array

__all__ = ["sums"]

_ROWS = 4096
"""Equations from which the factors of the taps are solved; there are at most as many unknowns as taps."""


def sums(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """Which terms of the sum are not as they should be."""
    if site.clear.got.shape != site.clear.want.shape:
        return
    k = factor(site.clear.got, site.clear.want)
    if k is not None:
        yield from _scaled(site, expected, k)
        return
    seen = Projection(site, expected, 2)
    pads = needed_pads(expected, site.clear.inputs[0].shape[2:], site.clear.got.shape[2:])
    yield from _taps(site, expected, seen, pads)
    yield from _channels(site, expected, seen, pads)


def _model(site: Site, expected: Geometry, title: str, change: str, factors: Array, *evidence: str) -> Hypothesis:
    """The convolution with its weight times `factors`, which broadcast against it."""
    weight = site.op.parameters["weight"].astype(site.clear.want.dtype) * factors
    step = expected.step(weight, site.op.parameters.get("bias"))
    return Hypothesis("B10", title, change, model=chain(site.op.inputs, step), evidence=evidence)


def _scaled(site: Site, expected: Geometry, k: float) -> Iterator[Hypothesis]:
    """The sum made an average; any other factor is taken for the kernel's own, of which `weights` speaks."""
    kh, kw = expected.kernel_size
    each = site.op.parameters["weight"].shape[1]
    names = {
        1 / (kh * kw): "the number of taps",
        1 / (each * kh * kw): "the number of terms",
        1 / each: "the number of input channels",
    }
    divided = [name for value, name in names.items() if value != 1 and abs(k - value) <= 1e-9 * value]
    if not divided:
        return
    weight = site.op.parameters["weight"].astype(site.clear.want.dtype) * k
    bias = site.op.parameters.get("bias")
    step = expected.step(weight, None if bias is None else bias * k)
    yield Hypothesis("B10", f"the sum is divided by {divided[0]}", "sum the products, and do not scale the sum",
                     model=chain(site.op.inputs, step),
                     evidence=(f"every output is {spelled(k)} times the expected one",))  # fmt: skip


def _taps(site: Site, expected: Geometry, seen: Projection, pads: Pads) -> Iterator[Hypothesis]:
    """How often each place of the kernel is counted, by least squares."""
    kh, kw = expected.kernel_size
    if kh * kw == 1:
        return
    columns = _by_tap(expected, seen, pads)
    target = seen.got.ravel() if seen.bias is None else (seen.got - seen.bias[:, None, None]).ravel()
    rows = np.random.default_rng(1).permutation(target.size)[:_ROWS]
    if len(rows) < 2 * kh * kw:
        return
    counts = np.linalg.lstsq(columns[rows], target[rows], rcond=None)[0]
    counts = np.where(np.abs(counts - np.round(counts)) <= 1e-6, np.round(counts), counts)
    if not np.isfinite(counts).all() or not near(columns @ counts, target) or (counts == 1).all():
        return
    table = counts.reshape(kh, kw)
    odd = [f"({i}, {j}) {_times(table[i, j])}" for i, j in np.argwhere(table != 1)]
    title = f"{len(odd)} of {kh * kw} places of the kernel are counted wrongly: " + ", ".join(odd[:4])
    yield _model(site, expected, title + (", …" if len(odd) > 4 else ""),
                 f"sum over all rows from 0 to {kh - 1} and columns from 0 to {kw - 1} of the kernel, each once",
                 table[None, None])  # fmt: skip


def _times(count: float) -> str:
    return "is not summed" if count == 0 else f"{spelled(float(count))} times"


def _by_tap(expected: Geometry, seen: Projection, pads: Pads) -> Array:
    """What each place of the kernel gives, (outputs, places)."""
    top, bottom, left, right = pads
    (sh, sw), (dh, dw), (kh, kw) = expected.stride, expected.dilation, expected.kernel_size
    h_out, w_out = seen.got.shape[2:]
    x = functional.pad(torch.from_numpy(seen.x), [left, right, top, bottom])
    found = []
    for i in range(kh):
        for j in range(kw):
            y, z = i * dh, j * dw
            view = x[:, :, y : y + (h_out - 1) * sh + 1 : sh, z : z + (w_out - 1) * sw + 1 : sw]
            mixed = torch.einsum("nchw,pc->nphw", view, torch.from_numpy(seen.weight[:, :, i, j].copy()))
            found.append(mixed.reshape(-1).numpy())
    return np.stack(found, axis=1)


def _channels(site: Site, expected: Geometry, seen: Projection, pads: Pads) -> Iterator[Hypothesis]:
    """Input channels from some number on, or a single one, left out of the sum."""
    top, bottom, left, right = pads
    count, channels = seen.weight.shape[:2]
    if channels == 1:
        return
    each = site.op.parameters["weight"].shape[1]
    x = functional.pad(torch.from_numpy(seen.x), [left, right, top, bottom])
    filters = torch.from_numpy(np.ascontiguousarray(seen.weight.swapaxes(0, 1).reshape(-1, 1, *seen.weight.shape[2:])))
    lone = functional.conv2d(x, filters, None, expected.stride, 0, expected.dilation, channels).numpy()
    n, _, h, w = lone.shape
    # By channel of a group, so that a channel of every group is left out alike: (each, outputs).
    parts = lone.reshape(n, expected.groups, each, count, h, w).sum(axis=1).swapaxes(0, 1).reshape(each, -1)
    gap = (seen.mixed(site.clear.want.astype(seen.got.dtype)) - seen.got).reshape(-1)
    room = tolerance(seen.got) * np.sqrt(gap.size)
    keep = np.ones(each)
    tail = np.cumsum(parts[::-1], axis=0)[::-1]
    lost = np.linalg.norm(tail - gap, axis=1)
    m = int(np.argmin(lost))
    if lost[m] <= room and m > 0:
        keep[m:] = 0
        title = (
            "the last input channel is not summed" if m == each - 1
            else f"only the first {m} of {each} input channels are summed"
        )  # fmt: skip
    else:
        single = np.linalg.norm(parts - gap, axis=1)
        m = int(np.argmin(single))
        if single[m] > room:
            return
        keep[m] = 0
        title = "the first input channel is not summed" if m == 0 else f"input channel {m} is not summed"
    yield _model(site, expected, title, "sum over all input channels", keep[None, :, None, None])
