"""Causes at a convolution that lie in what is added to it or done with its ends: a bias, a ReLU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from layerdiff.compare.hypotheses.convolution.geometry import Geometry, needed_pads
from layerdiff.compare.hypotheses.convolution.projection import Projection
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import Step, chain, elementwise, relu
from layerdiff.compare.hypotheses.ruled import moved, plus
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.solving import near, tolerance
from layerdiff.compare.trace import Array

__all__ = ["biases"]


def biases(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """A bias too many, another one, or one along another axis; a ReLU before or behind."""
    sample = site.clear
    if sample.got.shape != sample.want.shape:
        return
    yield from _by_channel(site, expected)
    yield from _by_line(site, expected)
    yield from _relus(site, expected)


def _by_channel(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """What is added is the same all over each channel."""
    sample, wanted, own = site.clear, site.op.parameters.get("bias"), site.own("bias")
    apart = sample.got - sample.want
    constant = apart.mean(axis=(0, 2, 3))
    if np.abs(apart - constant[:, None, None]).max() > tolerance(sample.want) or not np.abs(constant).any():
        return
    before = np.zeros_like(constant) if wanted is None else wanted.astype(constant.dtype)
    bias = before + constant
    if own is not None and own.shape == bias.shape and near(own.astype(bias.dtype) + 0 * bias, bias):
        bias = own.astype(bias.dtype)
    if wanted is None:
        title, change = "a bias is added, expected none", "build the convolution with bias=False"
    elif near(-constant, before):
        bias, title, change = np.zeros_like(bias), "the bias is left out", "add the bias"
    else:
        title, change = "another bias is added", "load the expected bias"
    known = "the candidate's own `bias`" if own is not None else "no parameter of the candidate's is known as its bias"
    yield Hypothesis(
        code="B8",
        title=title,
        change=change,
        model=chain(site.op.inputs, expected.step(site.op.parameters["weight"], bias)),
        parameters={} if own is None else {"bias": before},
        after=chain((site.layer,), _shift(before - bias)) if own is None else (),
        evidence=(f"each channel is shifted by one number, from {constant.min():.4g} to {constant.max():.4g}", known),
    )


def _shift(by: Array) -> Step:
    column = torch.from_numpy(np.ascontiguousarray(by[None, :, None, None]))
    return elementwise("add", lambda y: y + column.to(y.dtype))


def _by_line(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """What is added is the same all over each column, or each row."""
    sample, wanted, own = site.clear, site.op.parameters.get("bias"), site.own("bias")
    weight = site.op.parameters["weight"]
    base = sample.want if wanted is None else sample.want - wanted.astype(sample.want.dtype)[:, None, None]
    apart = sample.got - base
    for axis, name in ((3, "columns"), (2, "rows")):
        others = tuple(i for i in range(4) if i != axis)
        line = apart.mean(axis=others, keepdims=True)
        if np.abs(apart - line).max() > tolerance(sample.want) or np.ptp(line) <= tolerance(sample.want):
            continue
        if any(one.got.shape[axis] != line.shape[axis] for one in site.samples):
            continue
        for known in (wanted, own):
            if known is not None and known.shape == (line.size,) and near(known.astype(line.dtype), line.ravel()):
                line = known.astype(line.dtype).reshape(line.shape)
        yield Hypothesis(
            code="B9",
            title=f"the bias is added along the {name}, expected along the channels",
            change="give the bias the shape (1, c, 1, 1) before it is added",
            model=chain(site.op.inputs, plus(expected.step(weight, None), line)),
        )
        return


def _relus(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """A ReLU on the output, or on the input."""
    sample = site.clear
    step = expected.step(site.op.parameters["weight"], site.op.parameters.get("bias"))
    if np.array_equal(sample.got.clip(min=0), sample.got) and near(sample.want.clip(min=0), sample.got):
        yield Hypothesis(
            "E4", "a ReLU follows the convolution, before the batch norm", "put the ReLU after the batch norm",
            model=chain(site.op.inputs, step, relu()),
        )  # fmt: skip
    seen = Projection(site, expected)
    pads = needed_pads(expected, sample.inputs[0].shape[2:], sample.got.shape[2:])
    if (sample.inputs[0] < 0).any() and near(seen.at(expected, pads, functional.relu), seen.got):
        yield Hypothesis(
            "E6", "the convolution takes relu(x), expected x", "give it what the layer before gave, unchanged",
            model=chain(site.op.inputs, moved(functional.relu, step)),
        )  # fmt: skip
