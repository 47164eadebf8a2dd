"""Causes at a convolution that lie in its groups: which filters see which channels, and in which order they come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from layerdiff.compare.hypotheses.convolution.geometry import Geometry, needed_pads
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import Step, chain, move
from layerdiff.compare.hypotheses.ruled import moved
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import near
from layerdiff.compare.trace import Array

__all__ = ["groups"]


@dataclass(frozen=True)
class _Form:
    """One way to get the groups wrong.

    Attributes:
        title: what it is.
        look: of an output channel the filter it uses, (c, kh, kw), and the input channels it takes.
        steps: the whole of it.
    """

    title: str
    look: Callable[[int], tuple[Array, Array]]
    steps: Callable[[], tuple[Step, ...]]


def groups(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """Groups where none are expected, none where some are, or others."""
    if site.clear.got.shape != site.clear.want.shape:
        return
    forms = _split(site, expected) if expected.groups == 1 else _regrouped(site, expected)
    for form in forms:
        if _fits(site, expected, form):
            yield Hypothesis("B7", form.title, f"set groups={expected.groups}, the groups being blocks of neighbouring "
                             "channels", model=chain(site.op.inputs, *form.steps()))  # fmt: skip
            return


def _fits(site: Site, expected: Geometry, form: _Form) -> bool:
    """Whether a form gives what the candidate gave in its first output channel, its last and one between."""
    sample, bias = site.clear, site.op.parameters.get("bias")
    top, bottom, left, right = needed_pads(expected, sample.inputs[0].shape[2:], sample.got.shape[2:])
    x = functional.pad(torch.from_numpy(np.ascontiguousarray(sample.inputs[0])), [left, right, top, bottom])
    last = sample.got.shape[1] - 1
    for o in (0, last, last // 2 + 1):
        weight, channels = form.look(min(o, last))
        kernel = torch.from_numpy(np.ascontiguousarray(weight[None], dtype=sample.want.dtype))
        y = functional.conv2d(x[:, torch.from_numpy(channels)], kernel, None, expected.stride, 0, expected.dilation)
        shift = 0.0 if bias is None else float(bias[min(o, last)])
        if not near(y.numpy()[:, 0] + shift, sample.got[:, min(o, last)]):
            return False
    return True


def _split(site: Site, expected: Geometry) -> Iterator[_Form]:
    """Groups where none are expected: the filters' own block of input channels, or their first ones."""
    weight, bias = site.op.parameters["weight"], site.op.parameters.get("bias")
    count, channels = weight.shape[:2]
    whole = math.gcd(count, channels)
    for g in (d for d in range(2, whole + 1) if whole % d == 0):
        yield _block(expected, weight, bias, g, own=True)
        yield _block(expected, weight, bias, g, own=False)


def _block(expected: Geometry, weight: Array, bias: Array | None, g: int, *, own: bool) -> _Form:
    """`g` groups, each filter keeping its weights for its own channels, or for the first ones."""
    each, block = len(weight) // g, weight.shape[1] // g

    def part(o: int) -> Array:
        start = o // each * block if own else 0
        kept: Array = weight[o, start : start + block]
        return kept

    return _Form(
        f"groups is {g}, expected 1",
        lambda o: (part(o), np.arange(o // each * block, (o // each + 1) * block)),
        lambda: (replace(expected, groups=g).step(np.stack([part(o) for o in range(len(weight))]), bias),),
    )


def _regrouped(site: Site, expected: Geometry) -> Iterator[_Form]:
    """Groups that take other channels than theirs, or give them in another order."""
    weight, bias = site.op.parameters["weight"], site.op.parameters.get("bias")
    g, count, block = expected.groups, weight.shape[0], weight.shape[1]
    each, channels = count // g, block * g
    plain = expected.step(weight, bias)

    def taking(order: Array) -> tuple[Callable[[int], tuple[Array, Array]], Callable[[], tuple[Step, ...]]]:
        index = torch.from_numpy(order.copy())
        return (
            lambda o: (weight[o], order[o // each * block : (o // each + 1) * block]),
            lambda: (moved(lambda x: x[:, index], plain),),
        )

    def giving(order: Array) -> tuple[Callable[[int], tuple[Array, Array]], Callable[[], tuple[Step, ...]]]:
        index = torch.from_numpy(order.copy())

        def look(o: int) -> tuple[Array, Array]:
            source = int(order[o])
            return weight[source], np.arange(source // each * block, (source // each + 1) * block)

        return look, lambda: (plain, move(_picked(index)))

    inputs, outputs = np.arange(channels), np.arange(count)
    spread_in = inputs.reshape(block, g).T.ravel()
    yield _Form("each group takes every so many-th input channel, expected neighbouring ones", *taking(spread_in))
    yield _Form("all groups take the first group's input channels", *taking(np.tile(inputs[:block], g)))
    backwards = inputs.reshape(g, block)[::-1].ravel()
    yield _Form("the groups take the input channels in reverse order", *taking(backwards))
    shuffled = outputs.reshape(g, each).T.ravel()
    yield _Form("the output channels of the groups are interleaved", *giving(shuffled))
    dealt = outputs.reshape(each, g).T.ravel()
    if not np.array_equal(dealt, shuffled):
        yield _Form("the output channels of the groups are dealt out", *giving(dealt))
    yield _Form(
        "the output channels of the groups come in reverse order", *giving(outputs.reshape(g, each)[::-1].ravel())
    )
    yield _Form(
        "groups is 1, the filters repeated over all input channels",
        lambda o: (np.tile(weight[o], (g, 1, 1)), inputs),
        lambda: (replace(expected, groups=1).step(np.tile(weight, (1, g, 1, 1)), bias),),
    )


def _picked(index: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda y: y[:, index]
