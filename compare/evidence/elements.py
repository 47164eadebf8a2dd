"""The elements that are furthest beyond what is allowed, by their index and values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerdiff.compare.evidence.apart import Apart
from layerdiff.compare.evidence.records import Element

__all__ = ["worst_elements"]


def worst_elements(found: Apart, count: int = 10) -> tuple[Element, ...]:
    """The `count` elements furthest beyond their allowance, worst first, equals in the order of their index.

    Those for which there is no ratio come first, by their error. Elements that do not differ are left out.
    """
    flat = [*_greatest(found.gravity, 0.0, count)]
    if len(flat) < count:
        ratios = np.where(found.differs & ~found.forbidden, found.ratio, -1.0)
        flat += _greatest(ratios, 0.0, count - len(flat))
    return tuple(_element(found, place) for place in flat)


def _greatest(values: NDArray[np.float64], least: float, count: int) -> list[int]:
    """The places in `values`, flattened, of the greatest that are not below `least`."""
    line = values.reshape(-1)
    bar = least if line.size <= count else max(float(np.partition(line, line.size - count)[line.size - count]), least)
    places = np.flatnonzero(line >= bar)
    return [int(place) for place in places[np.argsort(-line[places], kind="stable")][:count]]


def _element(found: Apart, place: int) -> Element:
    index = np.unravel_index(place, found.expected.shape)
    expected, actual = float(found.expected[index]), float(found.actual[index])
    finite = bool(np.isfinite(expected) and np.isfinite(actual))
    ratio = float(found.ratio[index])
    return Element(
        index=tuple(int(i) for i in index),
        expected=expected if np.isfinite(expected) else None,
        actual=actual if np.isfinite(actual) else None,
        error=float(found.error[index]) if finite else None,
        allowed=float(np.nan_to_num(found.allowed[index])),
        ratio=None if found.forbidden[index] or not np.isfinite(ratio) else ratio,
    )
