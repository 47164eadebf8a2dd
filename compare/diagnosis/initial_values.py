"""Whether a tensor's values are those that a layer has before it was trained or loaded."""

from __future__ import annotations

import math

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["initial_values"]

_ENOUGH = 128
"""Of fewer values nobody can tell how they were drawn."""


def initial_values(array: Array) -> str | None:
    """How the values were drawn, in words, where they fit one of the usual ways; None where they fit none.

    Constants 0 and 1; torch's default, He's and Glorot's draws, uniform or normal, by fan-in or fan-out. The standard
    deviation of n draws errs by σ/√(2n) where they are normal, and by less where uniform: it must fit within five of
    that, and the greatest value must be that of the distribution.

    Source: torch.nn.init; `reset_parameters` of torch.nn.Conv2d and torch.nn.Linear (`kaiming_uniform_(a=√5)`).
    """
    if array.size and (array == 0).all():
        return "all 0"
    if array.size and (array == 1).all():
        return "all 1"
    if array.ndim < 2 or array.size < _ENOUGH or not np.isfinite(array).all():
        return None
    fan_in, fan_out = (n * math.prod(array.shape[2:]) for n in (array.shape[1], array.shape[0]))
    values = array.astype(np.float64).reshape(-1)
    std, mean, greatest, n = float(values.std()), float(values.mean()), float(np.abs(values).max()), values.size
    if std == 0 or abs(mean) > 5 * std / math.sqrt(n):
        return None
    ways = {
        "torch's default, 1/√(3 fan-in)": 1 / math.sqrt(3 * fan_in),
        "He's by fan-out, √(2/fan-out)": math.sqrt(2 / fan_out),
        "He's by fan-in, √(2/fan-in)": math.sqrt(2 / fan_in),
        "Glorot's, √(2/(fan-in + fan-out))": math.sqrt(2 / (fan_in + fan_out)),
        "0.01": 0.01,
        "0.02": 0.02,
    }
    shape = _shape(values, std, greatest)
    if shape is None:
        return None
    for name, wanted in ways.items():
        if shape == "normal" and name.startswith("torch"):
            continue
        if abs(std - wanted) <= 5 * wanted / math.sqrt(2 * n):
            return f"{shape}, std {std:.4g} ({name})"
    return None


def _shape(values: Array, std: float, greatest: float) -> str | None:
    """Whether the values were drawn uniformly or normally: by their fourth moment, which is 1.8 or 3."""
    n = values.size
    fourth = float(np.mean(np.square(np.square(values / std))))
    # The greatest of n uniform draws is within 20/n of the bound, but for a chance of e^-20.
    if abs(fourth - 1.8) <= 5 * math.sqrt(4 / n) and greatest <= math.sqrt(3) * std * (1 + 5 / math.sqrt(n)):
        return "uniform"
    return "normal" if abs(fourth - 3) <= 5 * math.sqrt(96 / n) else None
