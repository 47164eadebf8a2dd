"""One way in which an input may have been made, held against the input itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.preprocessing.allowance import ROUNDINGS, UNIT
from layerdiff.compare.preprocessing.prediction import Fault, Prediction
from layerdiff.compare.preprocessing.record import Record
from layerdiff.compare.preprocessing.scales import Scaling, explain_scale
from layerdiff.compare.preprocessing.tones import Tones, find_tones
from layerdiff.compare.trace import Array

__all__ = ["Explanation", "explain"]

_COLOURS = "RGB"


@dataclass(frozen=True)
class Explanation:
    """All that was done otherwise, and the greatest quotient of error and allowance when just that is done."""

    faults: tuple[Fault, ...]
    after: float
    scale: Scaling = field(repr=False)


def explain(prediction: Prediction, x: Array, record: Record) -> Explanation | None:
    """How `x`, (n, 3, h, w), is made of the predicted grey levels; None where it is not."""
    tones = find_tones(prediction, x)
    if tones is None:
        return None
    scale = explain_scale(tones, record)
    if scale is None:
        return None
    after = _after(prediction, tones, scale, x)
    if after > 1:
        return None
    return Explanation((*prediction.faults, *_channels(tones, scale), *_wraps(tones), *scale.faults), after, scale)


def _after(prediction: Prediction, tones: Tones, scale: Scaling, x: Array) -> float:
    worst = 0.0
    for c, (p, wrap) in enumerate(zip(tones.order, tones.wraps, strict=True)):
        levels, slack = prediction.levels[:, p], prediction.spread[:, p]
        if wrap:
            levels = (levels + wrap) % 256 - wrap
        allowed = ROUNDINGS * UNIT * (np.abs(scale.slope[c] * levels) + abs(scale.offset[c]))
        allowed = allowed + abs(scale.slope[c]) * slack
        apart = np.abs(x[:, c] - (scale.slope[c] * levels + scale.offset[c]))
        with np.errstate(all="ignore"):
            worst = max(worst, float(np.where(apart == 0, 0, apart / allowed).max()))
    return worst


def _channels(tones: Tones, scale: Scaling) -> tuple[Fault, ...]:
    if tones.order == (0, 1, 2):
        return ()
    found = ", ".join(_COLOURS[p] for p in tones.order)
    where = f", {scale.order} the normalisation" if scale.order else ""
    change = "OpenCV reads B, G, R: turn the channels round (picture[..., ::-1])"
    if tones.order != (2, 1, 0):
        change = "put the channels in the order R, G, B"
    if len(set(tones.order)) < 3:
        change = "keep all three channels"
    return (Fault("I1", f"the channels are {found}, expected R, G, B{where}", change),)


def _wraps(tones: Tones) -> tuple[Fault, ...]:
    if not any(tones.wraps):
        return ()
    shifts = []
    for name, wrap in zip(_COLOURS, tones.wraps, strict=True):
        if wrap < 0:
            shifts.append(f"{name} below {-wrap} comes out 256 too high")
        if wrap > 0:
            shifts.append(f"{name} from {256 - wrap} on comes out 256 too low")
    title = f"uint8 arithmetic wraps around at 256: {'; '.join(shifts)}"
    return (Fault("I6", title, "make it float before the first sum or difference: picture.astype(np.float32)"),)
