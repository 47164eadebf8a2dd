"""Causes at a flatten: the numbers in another order, or in another shape."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain, move
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.trace import Array

__all__ = ["hypotheses"]

_AXES = "NCHW"
_KINDS = frozenset({"flatten", "view", "reshape"})


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """What a flatten may do instead: every order of the axes, and every other shape."""
    x, got, want = site.clear.inputs[0], site.clear.got, site.clear.want
    if site.op.kind not in _KINDS or got.size != want.size:
        return
    if got.shape != want.shape and np.array_equal(got.ravel(), want.ravel()):
        yield _shape(site)
    elif x.ndim == 4:
        yield from _orders(site, x, got)


def _shape(site: Site) -> Hypothesis:
    """The right numbers in the right order, in another shape."""
    got, want = site.clear.got.shape, site.clear.want.shape
    squeezed = len(got) < len(want) and want[0] == 1
    return Hypothesis(
        code="F5" if squeezed else "F6",
        title="the batch axis is dropped" if squeezed else f"the shape is {got}, expected {want}",
        change="flatten from axis 1 on, and leave the batch axis alone: torch.flatten(x, 1)",
        model=chain(site.op.inputs, move(lambda x: x.reshape(got))),
        after=chain((site.layer,), move(lambda y: y.reshape(want))),
        evidence=("the numbers and their order are right",),
    )


def _orders(site: Site, x: Array, got: Array) -> Iterator[Hypothesis]:
    """The axes in another order before they are laid in a row, or numbers read as if they had been."""
    identity = (0, 1, 2, 3)
    seen: list[Array] = [x.ravel()]
    for axes in permutations(identity):
        if axes == identity:
            continue
        back = tuple(int(i) for i in np.argsort(axes))
        sizes = tuple(x.shape[axis] for axis in axes)
        permuted, misread = x.transpose(axes), x.reshape(sizes).transpose(back)
        for laid, reads in ((permuted, False), (misread, True)):
            if not _begins(laid, got) or any(np.array_equal(laid.ravel(), one) for one in seen):
                continue
            seen.append(laid.ravel())
            if np.array_equal(laid.ravel(), got.ravel()):
                yield _order(site, axes, reads=reads)


def _begins(laid: Array, got: Array) -> bool:
    """Whether the first numbers are the same; spares most orders a copy of the whole."""
    return bool(np.array_equal(laid.flat[:64], got.flat[:64]))


def _order(site: Site, axes: tuple[int, ...], *, reads: bool) -> Hypothesis:
    order = "".join(_AXES[axis] for axis in axes)
    back = tuple(int(i) for i in np.argsort(axes))
    shape = site.clear.got.shape[1:]

    def model(x: Tensor) -> Tensor:
        laid = x.reshape([x.shape[axis] for axis in axes]).permute(back) if reads else x.permute(axes)
        return laid.reshape(-1, *shape)

    if reads:
        code, title = "F3", f"the numbers are read as {order} without being moved"
        change = f"use permute, and not view or reshape, to go from {order} to NCHW"
    else:
        code = "F2" if axes[0] == 0 else "F3"
        fortran = ", as order 'F' does" if axes == (0, 3, 2, 1) else ""
        title = f"the axes are laid in a row as {order}{fortran}, expected NCHW"
        change = "bring the axes into the order NCHW before the flatten, or permute the linear layer's weight"

    def undo(y: Tensor) -> Tensor:
        n, c, h, w = sizes
        if reads:
            return y.reshape(n, c, h, w).permute(axes).reshape(n, -1)
        return y.reshape([sizes[axis] for axis in axes]).permute(back).reshape(n, -1)

    sizes = site.real.inputs[0].shape
    return Hypothesis(
        code=code,
        title=title,
        change=change,
        model=chain(site.op.inputs, move(model)),
        after=chain((site.layer,), move(lambda y: torch.as_tensor(undo(y)))),
        evidence=("the numbers are the same in another order",),
    )
