"""Causes at a convolution: how its windows lie, what lies beside the map, what is summed and what is added.

The layout of its weight (flips, transpositions, other layers' weights) is looked at by `weights`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from layerdiff.compare.allowance import is_pair
from layerdiff.compare.hypotheses.convolution.biases import biases
from layerdiff.compare.hypotheses.convolution.borders import borders
from layerdiff.compare.hypotheses.convolution.geometry import Geometry, padded_conv2d
from layerdiff.compare.hypotheses.convolution.groups import groups
from layerdiff.compare.hypotheses.convolution.reads import reads
from layerdiff.compare.hypotheses.convolution.shifted import places
from layerdiff.compare.hypotheses.convolution.slips import slips
from layerdiff.compare.hypotheses.convolution.strides import stride_words
from layerdiff.compare.hypotheses.convolution.sums import sums
from layerdiff.compare.hypotheses.convolution.taps import taps
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain
from layerdiff.compare.hypotheses.settings import differing, worded
from layerdiff.compare.hypotheses.site import Site

__all__ = ["hypotheses"]

_CODES = {"stride": "A3", "dilation": "A16", "groups": "B7", "padding": "B2", "padding_mode": "B2"}
_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """What a convolution may do instead."""
    expected = Geometry.of(site.op)
    sample = site.clear
    if site.op.kind != "conv2d" or expected is None or len(sample.inputs) != 1 or sample.inputs[0].ndim != 4:
        return
    yield from _settings(site, expected)
    if sample.got.ndim == 4 and sample.got.shape[:2] == sample.want.shape[:2]:
        yield from places(site, expected)
        yield from borders(site, expected)
        yield from biases(site, expected)
        yield from sums(site, expected)
        yield from groups(site, expected)
        yield from taps(site, expected)
        yield from reads(site, expected)
    yield from slips(site, expected)


def _settings(site: Site, expected: Geometry) -> Iterator[Hypothesis]:
    """What the candidate's own attributes say."""
    other = site.other
    if other is None or other.kind != "conv2d":
        return
    weight, own = site.op.parameters["weight"], site.own("weight")
    for changed, wanted in differing(site.op, other, tuple(_CODES)):
        values: dict[str, Any] = {**site.op.attributes, **changed}
        mode = _MODES.get(str(values.get("padding_mode", "zeros")))
        if mode is None or not all(is_pair(values[name]) for name in ("stride", "padding", "dilation")):
            continue
        found = replace(expected, **{n: values[n] for n in ("stride", "padding", "dilation", "groups")})
        used = own if own is not None and own.ndim == 4 and own.shape != weight.shape else weight
        (top, left), bias = found.padding, site.op.parameters.get("bias")
        step = found.step(used, bias) if mode == "constant" else padded_conv2d(
            found, (top, top, left, left), used, bias, mode=mode)  # fmt: skip
        code, title, change = _CODES[next(iter(changed))], worded(changed, wanted), ""
        if "stride" in changed:
            code, title, change = stride_words(site, found.stride, expected.stride)
            rest = {name: value for name, value in changed.items() if name != "stride"}
            title += f", and {worded(rest, wanted)}" if rest else ""
        yield Hypothesis(
            code=code,
            title=title,
            change=change or "set " + ", ".join(f"{name}={value}" for name, value in wanted.items()),
            model=chain(site.op.inputs, step),
            attributes=wanted,
            evidence=(f"its attributes: {worded(changed, wanted)}",),
            rank=0,
        )
