"""Places of the kernel that read somewhere else than they should: solved for, all of them together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from layerdiff.compare.hypotheses.convolution.geometry import Geometry
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import near, spelled
from layerdiff.compare.trace import Array

__all__ = ["taps"]

_PLACES = 48
"""Outputs that are looked at; a border is among them where the map is small."""

_ALL_PLACES = 3
"""The largest kernel of which every place may read where any other one does; in larger ones each its neighbours."""

_WHOLE = 1e-4
"""How far from a whole number a factor may be solved for in float32."""

_WORDS = {(-1, 0): "one row above", (1, 0): "one row below", (0, -1): "one column to the left",
          (0, 1): "one column to the right"}  # fmt: skip


def taps(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """Places of the kernel that read one row or column off, or take each other's places.

    With k² places, each of which may read at any of some m places of the map, what the candidate gives is a sum of k²·m
    known numbers with unknown factors; mixtures of output channels at a few places of the output are equations enough.
    """
    kh, kw = expected.kernel_size
    if kh * kw == 1 or kh != kw or expected.groups != 1 or site.clear.got.shape != site.clear.want.shape:
        return
    if expected.dilation != (1, 1):
        return
    pairs = [
        (i, j, y, x)
        for i in range(kh) for j in range(kw) for y in range(kh + 2) for x in range(kw + 2)
        if kh <= _ALL_PLACES or (abs(y - i - 1) <= 1 and abs(x - j - 1) <= 1)
    ]  # fmt: skip
    columns, target = _equations(site, expected, pairs)
    if len(target) < len(pairs):
        return
    found, _, rank, _ = np.linalg.lstsq(columns, target, rcond=1e-10)
    rounded, own = np.round(found), site.clear.got.dtype
    # With rank to spare every error would be found out; without, the roundest answer must still fit.
    if (
        rank >= len(target)
        or np.abs(found - rounded).max() > 1e-4
        or not near((columns @ rounded).astype(own), target.astype(own))
    ):
        return
    moved = [(pair, int(n)) for pair, n in zip(pairs, rounded, strict=True) if n and not _own(pair)]
    lost = {pair[:2]: int(n) for pair, n in zip(pairs, rounded, strict=True) if n != 1 and _own(pair)}
    odd = sorted({pair[:2] for pair, _ in moved} | set(lost))
    # What turns all of the kernel has a name of its own; what only leaves places out is `conv_sums`'.
    if not moved or len(odd) > kh * kw // 2:
        return
    weight = site.op.parameters["weight"]
    spread = np.zeros((*weight.shape[:2], kh + 2, kw + 2))
    for (i, j, y, x), n in zip(pairs, rounded, strict=True):
        spread[:, :, y, x] += n * weight[:, :, i, j]
    wide = replace(expected, kernel_size=(kh + 2, kw + 2), padding=tuple(p + 1 for p in expected.padding))  # type: ignore[arg-type]
    yield Hypothesis(
        "B10",
        f"{len(odd)} of {kh * kw} places of the kernel {'reads' if len(odd) == 1 else 'read'} elsewhere: "
        + ", ".join(_word(pair, n) for pair, n in moved[:4])
        + (", …" if len(moved) > 4 else ""),
        "place (i, j) of the kernel reads row i and column j of the window: begin it at i · dilation and j · dilation",
        model=chain(site.op.inputs, wide.step(spread, site.op.parameters.get("bias"))),
        evidence=(f"solved for {len(pairs)} factors from {len(target)} numbers",),
        rank=2,
    )


def _own(pair: tuple[int, int, int, int]) -> bool:
    i, j, y, x = pair
    return (y, x) == (i + 1, j + 1)


def _word(pair: tuple[int, int, int, int], n: int) -> str:
    i, j, y, x = pair
    by = (y - i - 1, x - j - 1)
    where = _WORDS.get(by, f"at place ({y - 1}, {x - 1})")
    return f"({i}, {j}) {where}" + ("" if n == 1 else f" {spelled(n)} times")


def _equations(site: Site, expected: Geometry, pairs: list[tuple[int, int, int, int]]) -> tuple[Array, Array]:
    """What each place of the kernel would give at each that it may read, (equations, pairs); and what is given."""
    sample, (kh, kw) = site.clear, expected.kernel_size
    (sh, sw), (ph, pw) = expected.stride, expected.padding
    n, _, h, w = sample.got.shape
    rng = np.random.default_rng(2)
    chosen = rng.permutation(n * h * w)[:_PLACES]
    batch, i, j = np.unravel_index(chosen, (n, h, w))
    weight = site.op.parameters["weight"].astype(np.float64)
    bias = site.op.parameters.get("bias")
    count = min(len(weight), -(-2 * len(pairs) // len(chosen)))
    mix = rng.standard_normal((count, len(weight)))
    given = sample.got[batch, :, i, j].astype(np.float64)
    target = (given if bias is None else given - bias) @ mix.T
    # One row and one column more on each side than the window has.
    x = np.pad(sample.inputs[0], ((0, 0), (0, 0), (ph + 1, ph + 1 + sh), (pw + 1, pw + 1 + sw)))
    at = zip(batch, i, j, strict=True)
    patches = np.stack([x[b, :, y * sh : y * sh + kh + 2, z * sw : z * sw + kw + 2] for b, y, z in at])
    mixed = np.tensordot(mix, weight, axes=1)
    # (places, y, x, c) times (c, mixtures, i, j): what every place of the kernel gives at every place of the window.
    products = np.tensordot(patches.transpose(0, 2, 3, 1).astype(np.float64), mixed.transpose(1, 0, 2, 3), axes=1)
    rows = [products[:, y, x, :, a, b].reshape(-1) for a, b, y, x in pairs]
    return np.stack(rows, axis=1), target.reshape(-1)
