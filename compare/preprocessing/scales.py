"""From a line through grey levels to what was divided by what: the scale, the mean and the deviation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.preprocessing.prediction import Fault
from layerdiff.compare.preprocessing.record import Record
from layerdiff.compare.preprocessing.tones import Tones
from layerdiff.compare.trace import Array

__all__ = ["Scaling", "explain_scale"]

_SCALES = (
    (1 / 255, None),
    (1.0, "the grey levels are not divided by 255"),
    (1 / 255**2, "the grey levels are divided by 255 twice"),
    (1 / 256, "the grey levels are divided by 256, expected 255"),
    (1 / 128, "the grey levels are divided by 128, expected 255"),
    (255.0, "the grey levels are multiplied by 255, expected to be divided"),
)
_AFTER = (
    (1.0, None),
    (1 / 255, "the input is divided by 255 once more after it is normalised"),
    (255.0, "the input is multiplied by 255 after it is normalised: its std is not on the scale of its mean"),
)
_SCALE_CHANGE = "divide the grey levels by 255 once, before the mean is subtracted"
_MOST_DECIMALS = 9


@dataclass(frozen=True)
class Scaling:
    """A slope and an offset for each channel, (3,) float64, and what they say is done otherwise.

    Attributes:
        slope: for one grey level.
        offset: the value for level 0.
        faults: what is done otherwise; empty where it is as in the reference.
        order: whether the swap of channels that goes with it comes before or behind the normalisation; `""` for none.
    """

    slope: Array = field(repr=False)
    offset: Array = field(repr=False)
    faults: tuple[Fault, ...]
    order: str = ""


@dataclass(frozen=True)
class _Norm:
    """A normalisation `(t - mean) / std` of t, and what is otherwise in it."""

    mean: Array
    std: Array
    title: str | None = None
    order: str = ""


def explain_scale(tones: Tones, record: Record) -> Scaling | None:
    """The scale and normalisation with the fewest faults that makes these curves; None where the pictures disagree.

    First the mistakes that people make with the record's own numbers, alone and then together with a wrong scale; else
    mean and deviation are solved for, and rounded to the fewest decimals that still explain every point.
    """
    slopes = np.array([[curve.slope for curve in row] for row in tones.curves])
    offsets = np.array([[curve.offset for curve in row] for row in tones.curves])
    for named in sorted(_named(tones, record), key=lambda one: len(one.faults)):
        # Cheap, and passes all that can pass.
        if np.allclose(named.slope, slopes, rtol=1e-2) and tones.off(named.slope, named.offset) <= 1:
            return named
    return _solved(tones, record, slopes.mean(axis=0), offsets.mean(axis=0))


def _named(tones: Tones, record: Record) -> Iterator[Scaling]:
    for (after, after_title), (scale, title) in itertools.product(_AFTER, _SCALES):
        if title and after_title:
            continue
        faults = tuple(Fault("I3", text, _SCALE_CHANGE) for text in (title, after_title) if text)
        for norm in _norms(tones, record):
            otherwise = () if norm.title is None else (Fault("I2", norm.title, _norm_change(record)),)
            slope, offset = after * scale / norm.std, after * -norm.mean / norm.std
            yield Scaling(slope, offset, (*faults, *otherwise), norm.order)


def _norms(tones: Tones, record: Record) -> Iterator[_Norm]:
    mean, std, none, one = np.array(record.mean), np.array(record.std), np.zeros(3), np.ones(3)
    half, order = np.full(3, 0.5), list(tones.order)
    yield _Norm(mean, std, None, "before" if order != [0, 1, 2] else "")
    if order != [0, 1, 2]:
        yield _Norm(mean[order], std[order], None, "behind")
    yield _Norm(none, one, "the input is not normalised: neither mean nor std")
    yield _Norm(mean, one, "the input is not divided by the std")
    yield _Norm(none, std, "the mean is not subtracted")
    yield _Norm(mean, std**2, "the input is divided by the std twice, or by its square")
    yield _Norm(mean + mean * std, std**2, "the input is normalised twice")
    yield _Norm(mean * 255, std, "the mean is subtracted on the scale of 0 to 255, but from values from 0 to 1")
    yield _Norm(mean / 255, std, "the mean is subtracted before the division by 255, on the scale of 0 to 1")
    yield _Norm(-mean, std, "the mean is added, expected it to be subtracted")
    yield _Norm(mean, 1 / std, "the input is multiplied by the std, expected it to be divided")
    yield _Norm(half, half, "mean and std are 0.5: values from -1 to 1, " + _expected(record))
    yield _Norm((1 + mean) / 2, std / 2, "values from -1 to 1 are normalised, expected values from 0 to 1")
    yield _Norm(mean[::-1], std[::-1], "mean and std are in the order B, G, R, " + _expected(record))
    yield _Norm(mean[::-1], std, "the mean is in the order B, G, R, expected R, G, B")
    yield _Norm(mean, std[::-1], "the std is in the order B, G, R, expected R, G, B")
    yield _Norm(std, mean, "mean and std are swapped")


def _solved(tones: Tones, record: Record, slope: Array, offset: Array) -> Scaling | None:
    """Mean and deviation as they follow from the curves, on the scale on which the deviation is the likeliest."""
    if tones.off(slope, offset) > 2 or (slope == 0).any():
        return None
    # In units of what the record divides by, a deviation lies around a quarter.
    scale, title = min(_SCALES[:3], key=lambda one: abs(np.log(np.abs(one[0] / slope).mean() / 0.25)))
    if title is not None and np.abs(scale / slope).mean() > 0.9:
        # On the scale of 0 to 255 nothing but the std's absence gives so round a number.
        title = "the grey levels are not divided by 255" if scale == 1 else title
    std, mean = scale / slope, -offset / slope * scale
    std = _round(std, lambda tried: tones.off(scale / tried, -mean / tried))
    mean = _round(mean, lambda tried: tones.off(scale / std, -tried / std))
    slope, offset = scale / std, -mean / std
    if tones.off(slope, offset) > 1:
        return None
    said = []
    for name, found, expected in (("mean", mean, record.mean), ("std", std, record.std)):
        if not np.array_equal(found, expected):
            said.append(f"the {name} is {_numbers(found)}, expected {_numbers(np.array(expected))}")
    faults = [Fault("I3", title, _SCALE_CHANGE)] if title else []
    faults += [Fault("I2", text, _norm_change(record)) for text in said]
    return Scaling(slope, offset, tuple(faults), "before" if tones.order != (0, 1, 2) else "")


def _round(values: Array, off: object) -> Array:
    """The values with the fewest decimals with which everything is still explained; as they are where none does."""
    assert callable(off)
    for decimals in range(_MOST_DECIMALS):
        tried = np.round(values, decimals)
        if (tried != 0).any() and off(tried) <= 1:
            return tried
    return values


def _norm_change(record: Record) -> str:
    return f"subtract the mean {_numbers(np.array(record.mean))} and divide by the std {_numbers(np.array(record.std))}"


def _expected(record: Record) -> str:
    return f"expected mean {_numbers(np.array(record.mean))}, std {_numbers(np.array(record.std))}"


def _numbers(values: Array) -> str:
    return "(" + ", ".join(f"{value:.7g}" for value in values) + ")"
