"""Whether a tensor's values are those that a layer has before it was trained or loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["Draw", "initial_values"]

_ENOUGH = 512
"""Of fewer values nobody can tell how they were drawn."""

_PLENTY = 1 << 17
"""Of more values a part tells it well enough."""

_SPREAD = 4.0
"""By how many standard errors a moment may be off: of ten thousand tensors less than one is."""


@dataclass(frozen=True)
class Draw:
    """How values were drawn.

    Attributes:
        shape: `uniform`, `normal` or `constant`.
        way: whose rule gives their standard deviation, or the constant.
        std: their standard deviation.
    """

    shape: str
    way: str
    std: float

    def __str__(self) -> str:
        return f"all {self.way}" if self.shape == "constant" else f"{self.shape}, std {self.std:.4g} ({self.way})"

    def is_like(self, other: Draw | None) -> bool:
        """Whether another tensor was drawn the same way."""
        return other is not None and (self.shape, self.way) == (other.shape, other.way)


def initial_values(array: Array) -> Draw | None:
    """How the values were drawn, where they fit one of the usual ways; None where they fit none.

    Constants 0 and 1; torch's default, He's and Glorot's draws, uniform or normal, by fan-in or fan-out. The standard
    deviation of n draws errs by σ/√(2n) where they are normal, and by less where uniform; the fourth moment and the
    greatest value must be those of the distribution.

    Source: torch.nn.init; `reset_parameters` of torch.nn.Conv2d and torch.nn.Linear (`kaiming_uniform_(a=√5)`).
    """
    if not array.size:
        return None
    first = array.flat[0]
    if first in {0, 1} and (array == first).all():
        return Draw("constant", str(int(first)), 0.0)
    if array.ndim < 2 or array.size < _ENOUGH:
        return None
    fan_in, fan_out = (n * math.prod(array.shape[2:]) for n in (array.shape[1], array.shape[0]))
    values = array.reshape(-1)[:: max(1, array.size // _PLENTY)].astype(np.float64)
    std, mean, n = float(values.std()), float(values.mean()), values.size
    if std == 0 or not math.isfinite(std) or abs(mean) > _SPREAD * std / math.sqrt(n):
        return None
    shape = _shape(values / std)
    ways = {
        "torch's default, 1/√(3 fan-in)": 1 / math.sqrt(3 * fan_in),
        "He's by fan-out, √(2/fan-out)": math.sqrt(2 / fan_out),
        "He's by fan-in, √(2/fan-in)": math.sqrt(2 / fan_in),
        "Glorot's, √(2/(fan-in + fan-out))": math.sqrt(2 / (fan_in + fan_out)),
        "a fixed 0.01": 0.01,
        "a fixed 0.02": 0.02,
    }
    fitting = (way for way, wanted in ways.items() if abs(std - wanted) <= _SPREAD * wanted / math.sqrt(2 * n))
    way = next(fitting, None)
    return None if shape is None or way is None else Draw(shape, way, std)


def _shape(values: Array) -> str | None:
    """Whether values of standard deviation 1 were drawn uniformly or normally.

    The fourth moment is 1.8 or 3, with errors of 1.6/√n (the variance of x⁴ is that of its eighth moment, 9, less 1.8²,
    and dividing by the measured deviation lowers it) and √(96/n). The greatest of uniform draws is √3; that of n normal
    ones is near √(2 ln n), and less than that by 1.2 once in ten thousand times.
    """
    n, fourth, greatest = values.size, float(np.mean(np.square(np.square(values)))), float(np.abs(values).max())
    if abs(fourth - 1.8) <= _SPREAD * 1.6 / math.sqrt(n) and greatest <= math.sqrt(3) * (1 + _SPREAD / math.sqrt(n)):
        return "uniform"
    fits = abs(fourth - 3) <= _SPREAD * math.sqrt(96 / n) and greatest >= math.sqrt(2 * math.log(n)) - 1.2
    return "normal" if fits else None
