"""Values that a batch norm was given in the place of others, solved for from the lines of its channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from layerdiff.compare.hypotheses.channelwise import Lines, channel_lines, number, snapped
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.kit import chain
from layerdiff.compare.hypotheses.norm.forms import Norm
from layerdiff.compare.hypotheses.site import Site
from layerdiff.compare.hypotheses.trial import residual
from layerdiff.compare.trace import Array

__all__ = ["correction", "said", "solved"]


def solved(norm: Norm, site: Site, thin: Site) -> Iterator[Hypothesis]:
    """Another eps, and statistics that are a multiple of the right ones.

    Args:
        norm: what is expected.
        site: of an expected batch norm, both sides of one shape.
        thin: `site` cut down to a few elements of each channel.
    """
    lines = channel_lines(site.clear)
    yield from _eps(norm, site, thin, lines)
    yield from _scaled(norm, site, thin, lines)


def said(norm: Norm, site: Site) -> Iterator[Hypothesis]:
    """The eps that the candidate's own settings say, where it is not the expected one, whatever its values show."""
    claimed = None if site.other is None else site.other.attributes.get("eps")
    if isinstance(claimed, int | float) and claimed != norm.eps:
        yield _of_eps(norm, site, float(claimed), "its own setting says so", rank=0)


def _eps(norm: Norm, site: Site, thin: Site, lines: Lines) -> Iterator[Hypothesis]:
    """Solve slope = gamma/√(var + eps) for eps = (gamma/slope)² - var: the same in every channel."""
    with np.errstate(all="ignore"):
        spread = np.square(norm.gamma / lines.slope)
    value = _best(spread - norm.var, error=spread * _slope_error(lines))
    found = _value(value, thin, lambda eps: replace(norm, eps=eps), first=(0.0,))
    claimed = None if site.other is None else site.other.attributes.get("eps")
    if found is not None and found not in {norm.eps, claimed}:
        yield _of_eps(norm, site, found, f"solved from every channel's slope: {value:.10g}", rank=1)


def _of_eps(norm: Norm, site: Site, eps: float, evidence: str, *, rank: int) -> Hypothesis:
    return Hypothesis(
        "C1",
        f"eps is {number(eps)}, expected {number(norm.eps)}",
        f"set eps={number(norm.eps)}",
        model=chain(site.op.inputs, replace(norm, eps=eps).step()),
        attributes={"eps": norm.eps},
        evidence=(evidence,),
        rank=rank,
    )


def _scaled(norm: Norm, site: Site, thin: Site, lines: Lines) -> Iterator[Hypothesis]:
    """Statistics k times as large: slope = gamma/√(k var + eps) and shift = beta - k mean·slope."""
    with np.errstate(all="ignore"):
        spread = np.square(norm.gamma / lines.slope)
        of_var = _best((spread - norm.eps) / norm.var, error=spread / norm.var * _slope_error(lines))
        product = norm.mean * lines.slope
        size = np.abs(norm.beta) + np.abs(lines.shift)
        of_mean = _best((norm.beta - lines.shift) / product, error=size / np.abs(product) + _slope_error(lines))

    def both(k: float) -> Norm:
        return replace(norm, mean=k * norm.mean, var=k * norm.var)

    def var(k: float) -> Norm:
        return replace(norm, var=k * norm.var)

    def mean(k: float) -> Norm:
        return replace(norm, mean=k * norm.mean)

    k = _value(of_var, thin, both)
    if k is not None and k > 0 and k != 1:
        yield _of_scale(
            site, both(k), f"running_mean and running_var are {number(k)} times the right ones",
            "divide both by the scale factor that is stored beside them (Caffe: blobs[2])", of_var,
        )  # fmt: skip
    k = _value(of_var, thin, var)
    if k is not None and k > 0 and k != 1:
        yield _of_correction(site, var(k), k) or _of_scale(
            site, var(k), f"running_var is {number(k)} times the right one", "give the variance as it is", of_var
        )
    k = _value(of_mean, thin, mean)
    if k is not None and k not in {-1, 0, 1}:
        yield _of_scale(
            site, mean(k), f"running_mean is {number(k)} times the right one", "give the mean as it is", of_mean
        )


def _of_scale(site: Site, norm: Norm, title: str, change: str, value: float) -> Hypothesis:
    return Hypothesis(
        "C8", title, change, model=chain(site.op.inputs, norm.step()), evidence=(f"solved: {value:.10g}",)
    )


def _of_correction(site: Site, norm: Norm, k: float) -> Hypothesis | None:
    found = correction(site, k, error=1e-13)
    if found is None:
        return None
    return Hypothesis(
        "C3", *found, model=chain(site.op.inputs, norm.step()),
        evidence=(f"running_var is {k:.10g} times the right one",),
    )  # fmt: skip


def correction(site: Site, k: float, *, error: float) -> tuple[str, str] | None:
    """Title and change where a factor says that a variance was divided by n for n - 1, or the other way round.

    n is a whole number then. Of a factor of few digits that says nothing, unless n is the number of places of this
    very input: 0.9 is 9/10, and is also what somebody may have multiplied by.

    Args:
        site: of a batch norm.
        k: by which the variance is too large.
        error: of `k`, relative.
    """
    if k <= 0 or k == 1:
        return None
    n = k / (k - 1) if k > 1 else 1 / (1 - k)
    whole = round(n)
    # dn = n²·dk, near k = 1.
    if not 2 <= whole < 1e6 or abs(n - whole) > n * n * error or n * n * error > 0.01:
        return None
    here = {sample.want.size // sample.want.shape[1] for sample in site.samples}
    if whole not in here and float(f"{k:.3g}") == k:
        return None
    was, divisor = ("unbiased", "n - 1") if k > 1 else ("biased", "n")
    return (
        f"running_var is the {was} variance of {whole} elements",
        f"divide the sum of squares as the reference did, not by {divisor}",
    )


def _slope_error(lines: Lines) -> Array:
    """By how much a slope may be wrong, relatively and up to a factor: what y errs by, over how far y moves.

    y errs by as many units of its last place as the numbers it was made of are large: the slope's share and the shift.
    """
    with np.errstate(all="ignore"):
        found: Array = 1 + np.abs(lines.shift / (lines.slope * lines.reach))
    return found


def _best(values: Array, *, error: Array) -> float:
    """The value of the channel where it is known best."""
    usable = np.isfinite(values) & np.isfinite(error)
    if not usable.any():
        return float("nan")
    return float(values[np.where(usable, error, np.inf).argmin()])


def _value(value: float, thin: Site, made: Callable[[float], Norm], *, first: tuple[float, ...] = ()) -> float | None:
    def explains(candidate: float) -> bool:
        return residual(chain(thin.op.inputs, made(candidate).step()), thin) <= 1

    return snapped(value, explains, first=first)
