"""What a batch norm can do other than the expected one, read from the straight line each channel goes through."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

import numpy as np

from layerdiff.compare.hypotheses.channelwise import first_channels, pointwise, same_shapes, surviving
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import Step, chain, elementwise, move
from layerdiff.compare.hypotheses.norm.forms import FORMS, Norm, assigned_otherwise, changes
from layerdiff.compare.hypotheses.norm.own_statistics import own_statistics
from layerdiff.compare.hypotheses.norm.values import said, solved
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.trace import Op

__all__ = ["hypotheses"]

_SHORTCUT = ("downsample.1", "shortcut.1")

_BATCH = (0, 2, 3)

_OWN: Mapping[tuple[int, ...], str] = {
    _BATCH: "the batch's own statistics",
    (2, 3): "each picture's own statistics, as an instance norm does",
    (0,): "statistics over the batch alone, at every place by themselves",
    (1, 2, 3): "statistics over channels and places of each picture, as a layer norm does",
    (1,): "statistics over the channels of each place",
    (0, 2): "statistics over batch and rows, for each column by itself",
    (0, 3): "statistics over batch and columns, for each row by itself",
    (2,): "statistics over the rows of each picture, for each column by itself",
    (3,): "statistics over the columns of each picture, for each row by itself",
}


def hypotheses(site: Site) -> Iterator[Hypothesis]:
    """Other ways to normalise, each with the batch norm it would be.

    Those that treat each element by itself are tested on a few elements first, and only what these do not refute is
    given on (the nearest two where they refute all).

    Args:
        site: of an expected batch norm.
    """
    if site.op.kind != "batch_norm" or not same_shapes(site):
        return
    norm = Norm.of(site.op)
    thin = pointwise(site)
    yield from said(norm, site)
    pointwise_ones = [*solved(norm, site, thin), *_forms(norm, site), *_nothing(site)]
    yield from surviving(pointwise_ones, thin)
    yield from _other_axis(norm, site)
    yield from _own_statistics(norm, site)


def _forms(norm: Norm, site: Site) -> Iterator[Hypothesis]:
    for form in (*FORMS, *assigned_otherwise()):
        with np.errstate(all="ignore"):
            other = form.made(norm)
        if changes(norm, other):
            yield Hypothesis(
                form.code, form.title, form.change, model=chain(site.op.inputs, other.step()), rank=form.rank
            )


def _nothing(site: Site) -> Iterator[Hypothesis]:
    """It gives what it takes."""
    model = chain(site.op.inputs, elementwise("identity", lambda x: x.clone()))
    if site.layer.endswith(_SHORTCUT):
        yield Hypothesis(
            "A7", "the shortcut's batch norm does nothing", "apply the batch norm behind the shortcut's conv",
            model=model, rank=2,
        )  # fmt: skip
    else:
        yield Hypothesis(
            "A14", "the batch norm does nothing", "apply the batch norm: it is declared and left out", model=model,
            rank=2,
        )  # fmt: skip


def _other_axis(norm: Norm, site: Site) -> Iterator[Hypothesis]:
    """Parameters along the rows or the columns: it can run only where there are as many as channels."""
    for axis, name in ((3, "width"), (2, "height")):
        if any(sample.want.ndim != 4 or sample.want.shape[1] != sample.want.shape[axis] for sample in site.samples):
            continue
        turn = _turned(axis)
        plain, affine = replace(norm, gamma=np.ones_like(norm.mean), beta=np.zeros_like(norm.mean)), norm.affine()
        for code, what, steps in (
            ("C5", "all parameters lie", (turn, norm.step(), turn)),
            ("C5", "mean and variance lie", (turn, plain.step(), turn, affine)),
            ("B9", "weight and bias lie", (plain.step(), turn, affine, turn)),
        ):
            yield Hypothesis(
                code, f"the batch norm's {what} along the {name}, not along the channels",
                "give the parameters the shape (1, C, 1, 1) before they meet a map in NCHW",
                model=chain(site.op.inputs, *steps), rank=2,
            )  # fmt: skip


def _turned(axis: int) -> Step:
    return move(lambda x: x.transpose(1, axis).contiguous())


def _own_statistics(norm: Norm, site: Site) -> Iterator[Hypothesis]:
    """Statistics of what is normalised; each channel's own are tested on a few channels first."""
    if any(sample.want.ndim != 4 for sample in site.samples):
        return
    count = min(8, len(norm.mean))
    few = first_channels(site, count)
    for dims, unbiased in product(_OWN, (False, True)):
        if any(math.prod(sample.want.shape[dim] for dim in dims) < 2 for sample in site.samples):
            continue
        found = _of_dims(norm, site, dims, unbiased=unbiased)
        part = replace(found, model=_over(norm.first(count), site, dims, unbiased))
        if found.rank == 0 or 1 in dims or surviving([part], few, nearest=0):
            yield found


def _of_dims(norm: Norm, site: Site, dims: tuple[int, ...], *, unbiased: bool) -> Hypothesis:
    title = f"it normalises by {_OWN[dims]}" + (", with the unbiased variance" if unbiased else "")
    model = _over(norm, site, dims, unbiased)
    written = _written(site)
    if dims != _BATCH:
        rank = 0 if dims in written else 3
        return Hypothesis("C6", title, "normalise by running_mean and running_var", model=model, rank=rank)
    other = site.other
    says = other is not None and bool(other.attributes.get("training"))
    # With one picture an instance norm gives the same: then what is written decides.
    elsewhere = bool(written) and _BATCH not in written
    if other is not None and (says or other.parameters) and "running_mean" not in other.parameters:
        statistics = {role: site.op.parameters[role] for role in ("running_mean", "running_var")}
        return Hypothesis(
            "K5", f"{title}: it has no running ones", "keep running statistics (track_running_stats=True), load them",
            model=model, attributes={"training": False}, parameters=statistics, rank=3 if elsewhere else 0,
        )  # fmt: skip
    return Hypothesis(
        "K1", title + ", as in training mode", "call eval() before", model=model, attributes={"training": False},
        rank=3 if elsewhere else 0 if says else 1,
    )  # fmt: skip


def _written(site: Site) -> set[tuple[int, ...]]:
    """The axes over which the candidate's code takes a mean, as far as it shows."""
    found: set[tuple[int, ...]] = set()
    for op in site.others:
        if op.kind in {"instance_norm", "InstanceNorm2d"}:
            found.add((2, 3))
        for step in (op, *op.inner):
            dims = step.attributes.get("dim")
            if step.kind in {"mean", "var", "var_mean", "std"} and isinstance(dims, tuple | list):
                found.add(tuple(sorted(int(dim) % 4 for dim in dims)))
    return found


def _over(norm: Norm, site: Site, dims: tuple[int, ...], unbiased: bool) -> tuple[Op, ...]:
    return chain(site.op.inputs, own_statistics(dims, norm.gamma, norm.beta, eps=norm.eps, unbiased=unbiased))
