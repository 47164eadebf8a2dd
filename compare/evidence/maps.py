"""Heat maps: the channels furthest out, each reduced to a small picture in which its largest error is always seen."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from layerdiff.compare.evidence.apart import Apart, in_short
from layerdiff.compare.evidence.records import Map
from layerdiff.compare.trace import Array

__all__ = ["channel_ratios", "maps_of"]

_MOST, _SIDE = 16, 32


def channel_ratios(found: Apart) -> tuple[float | None, ...]:
    """The worst ratio of each channel, or feature (axis 1); empty where there is no such axis."""
    if found.expected.ndim < 2:
        return ()
    axes = tuple(axis for axis in range(found.expected.ndim) if axis != 1)
    ratios: list[float] = np.asarray(found.ratio.max(axis=axes)).tolist()
    none: list[bool] = np.asarray(found.forbidden.any(axis=axes)).tolist()
    return tuple(None if bad else in_short(ratio) for ratio, bad in zip(ratios, none, strict=True))


def maps_of(found: Apart) -> tuple[Map, ...]:
    """Pictures of the channels furthest out, worst first, each in the image in which it is worst."""
    shape = found.expected.shape
    if len(shape) < 2:
        return ()
    rows = int(np.prod(shape[2:-1], dtype=int)) if len(shape) > 3 else 1
    flat = int(np.prod(shape[2:], dtype=int)) == 1
    # A row of features is one picture; of maps every channel is one.
    form = (shape[0], 1, 1, shape[1]) if flat else (shape[0], shape[1], rows, shape[-1])
    grave, ratio, differs = (array.reshape(form) for array in (found.gravity, found.ratio, found.differs))
    order = []
    for channel in np.flatnonzero(differs.any(axis=(0, 2, 3))):
        graver, further = grave[:, channel], ratio[:, channel]
        key = graver if graver.max() >= 0 else further
        image = int(np.unravel_index(int(key.argmax()), key.shape)[0])
        order.append((-float(graver.max()), -float(further.max()), int(channel), image))
    return tuple(_map(found, form, image, channel, is_row=flat) for _, _, channel, image in sorted(order)[:_MOST])


def _map(found: Apart, form: tuple[int, ...], image: int, channel: int, *, is_row: bool) -> Map:
    def of(array: Array) -> Array:
        part: Array = array.reshape(form)[image, channel]
        return part

    expected, actual = of(found.expected).astype(np.float64), of(found.actual).astype(np.float64)
    one = np.isfinite(expected) != np.isfinite(actual)
    error = np.where(one, np.inf, of(found.error))
    values = np.concatenate([expected.reshape(-1), actual.reshape(-1)])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    greatest = float(error[np.isfinite(error)].max(initial=0.0))
    cells = _cells(error)
    return Map(
        image=image,
        channel=None if is_row else channel,
        rows=cells.shape[0],
        columns=cells.shape[1],
        over=int(of(found.over).sum()),
        ratio=None if of(found.forbidden).any() else in_short(float(of(found.ratio).max())),
        low=low,
        high=high,
        greatest=greatest,
        expected=_levels(expected.reshape(-1)[cells], low, high),
        actual=_levels(actual.reshape(-1)[cells], low, high),
        difference=_levels(error.reshape(-1)[cells], 0.0, greatest, least=1),
    )


def _cells(error: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each cell the place, in the flattened map, of that element of its block that differs most."""
    height, width = error.shape
    tall, wide = -(-height // _SIDE), -(-width // _SIDE)
    rows, columns = -(-height // tall), -(-width // wide)
    padded = np.full((rows * tall, columns * wide), -1.0)
    padded[:height, :width] = error
    blocks = padded.reshape(rows, tall, columns, wide).transpose(0, 2, 1, 3).reshape(rows, columns, tall * wide)
    down, along = np.divmod(blocks.argmax(axis=2), wide)
    places: NDArray[np.intp] = (np.arange(rows)[:, None] * tall + down) * width + np.arange(columns) * wide + along
    return places


def _levels(values: NDArray[np.float64], low: float, high: float, *, least: int = 0) -> str:
    """Numbers as base64 of uint8, 0 for `low` and 255 for `high`; what is above `low` is at least `least`."""
    # In halves: the whole span of two large numbers may overflow.
    span = high / 2 - low / 2
    with np.errstate(all="ignore"):
        share = (values / 2 - low / 2) / span if span > 0 else np.zeros_like(values)
        share = np.where(np.isnan(values), 0.0, np.where(np.isinf(values), values > 0, share))
        levels = np.rint(255 * np.clip(share, 0.0, 1.0)).astype(np.uint8)
    return base64.b64encode(np.maximum(levels, np.where(values > low, least, 0).astype(np.uint8)).tobytes()).decode()
