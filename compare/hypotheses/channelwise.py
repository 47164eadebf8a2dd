"""Sites of operations that treat each channel by itself: their straight lines, and cut down to what decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.trace import Array

__all__ = [
    "Lines",
    "channel_lines",
    "first_channels",
    "number",
    "pointwise",
    "same_shapes",
    "snapped",
    "surviving",
]

_DIGITS = 17
"""As many as tell every float64 from its neighbours."""


@dataclass(frozen=True)
class Lines:
    """For each channel the straight line from what is taken to what is given: y = slope·x + shift.

    Attributes:
        slope: (c,) float64; NaN where a channel has fewer than two different inputs.
        shift: (c,) float64.
        reach: (c,) float64, how far apart the two inputs are through which the line was laid.
    """

    slope: Array = field(repr=False)
    shift: Array = field(repr=False)
    reach: Array = field(repr=False)


def channel_lines(sample: Sample) -> Lines:
    """The line through the least and the greatest input of each channel.

    Two points that lie far apart give the slope to a few roundings; whether the rest lies on the line is left to
    whoever tests a model.

    Args:
        sample: of an operation with one input, and an output of its shape, channels on axis 1.
    """
    x, y = (_by_channel(array).astype(np.float64) for array in (sample.inputs[0], sample.got))
    channels = np.arange(len(x))
    low, high = x.argmin(axis=1), x.argmax(axis=1)
    x_low, x_high, y_low, y_high = x[channels, low], x[channels, high], y[channels, low], y[channels, high]
    with np.errstate(all="ignore"):
        slope = (y_high - y_low) / (x_high - x_low)
        nearer = np.abs(x_low) < np.abs(x_high)
        shift = np.where(nearer, y_low - slope * x_low, y_high - slope * x_high)
    return Lines(slope, shift, x_high - x_low)


def pointwise(site: Site) -> Site:
    """The site with a few elements of each channel: enough to test an operation that treats each by itself.

    The least, the greatest and the middle input of each channel, and where both sides are furthest apart. A model that
    these refute the whole site refutes too, for a hundredth of the work.
    """
    return replace(site, real=_few(site.real), dense=None if site.dense is None else _few(site.dense))


def first_channels(site: Site, count: int, *, cut_inputs: bool = True) -> Site:
    """The site with the first few channels of what it gives, and, if asked, of what it takes."""

    def cut(sample: Sample) -> Sample:
        inputs = tuple(x[:, :count] for x in sample.inputs) if cut_inputs else sample.inputs
        return Sample(inputs, sample.want[:, :count], sample.got[:, :count])

    return replace(site, real=cut(site.real), dense=None if site.dense is None else cut(site.dense))


def same_shapes(site: Site) -> bool:
    """Whether the candidate gives arrays of the expected shape."""
    return all(sample.got.shape == sample.want.shape for sample in site.samples)


def surviving(hypotheses: Iterable[Hypothesis], thin: Site, *, nearest: int = 2) -> list[Hypothesis]:
    """The hypotheses that a cut-down site does not refute; where it refutes all of them, the nearest few.

    Args:
        hypotheses: whose models run on `thin`.
        thin: a part of a site's elements.
        nearest: how many to keep, for whoever wants to know what came nearest.

    Returns:
        In their order, without a residual: the cut-down one is not the whole one's.
    """
    results = [tried(hypothesis, thin) for hypothesis in hypotheses]
    kept = [one for one in results if one.residual is not None and one.residual <= 1]
    if not kept:
        finite = [one for one in results if one.residual is not None and np.isfinite(one.residual)]
        kept = sorted(finite, key=lambda one: one.residual or 0.0)[:nearest]
    return [replace(one, residual=None) for one in kept]


def snapped(value: float, explains: Callable[[float], bool], *, first: Sequence[float] = ()) -> float | None:
    """The number of fewest decimal digits, rounded from `value`, that still explains; None where none does.

    Args:
        value: as it was solved for.
        explains: whether a number explains what was seen.
        first: numbers to try before, such as 0.
    """
    if not np.isfinite(value):
        return None
    rounded = dict.fromkeys([*first, *(float(f"{value:.{digits}e}") for digits in range(_DIGITS))])
    return next((one for one in rounded if explains(one)), None)


def number(value: float) -> str:
    """A number as people write it: 1e-05, 0.0007, 998.7."""
    return f"{value:.12g}"


def _by_channel(array: Array) -> Array:
    return np.moveaxis(array, 1, 0).reshape(array.shape[1], -1)


def _few(sample: Sample) -> Sample:
    x, want, got = (_by_channel(array) for array in (sample.inputs[0], sample.want, sample.got))
    with np.errstate(all="ignore"):
        apart = np.nan_to_num(np.abs(got - want), nan=-1.0, posinf=np.finfo(got.dtype).max)
    middle = np.full(len(x), x.shape[1] // 2)
    places = np.stack([x.argmin(axis=1), x.argmax(axis=1), middle, apart.argmax(axis=1)], axis=1)
    x, want, got = (np.take_along_axis(array, places, axis=1)[None, :, None] for array in (x, want, got))
    return Sample((x,), want, got)
