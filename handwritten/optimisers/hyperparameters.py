"""The numbers that an optimiser is built with: which values each may have, and how they are read from text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerdiff.handwritten._checks import refusal

__all__ = [
    "BELOW_ONE",
    "FLAG",
    "NOT_NEGATIVE",
    "NOT_NEGATIVE_EACH",
    "PAIR_BELOW_ONE",
    "UP_TO_ONE",
    "Kind",
    "Value",
    "check_values",
    "taken",
]

Value = bool | float | tuple[float, ...]


@dataclass(frozen=True)
class Kind:
    """The values that a hyperparameter may have.

    Attributes:
        expected: which, in words.
        take: makes the plain Python value of what a caller gave. NumPy's float64 must not stay one: with a float32
            array it would compute in float64.
        allows: whether a plain value is one of them.
        read: makes the value of a text; a ValueError where it is none.
    """

    expected: str
    take: Callable[[Any], Value]
    allows: Callable[[Any], bool]
    read: Callable[[str], Value]


def _not_negative(value: float | tuple[float, ...]) -> bool:
    return all(0 <= number < math.inf for number in (value if isinstance(value, tuple) else (value,)))


def _below_one(value: float) -> bool:
    return 0 <= value < 1


def _up_to_one(value: float) -> bool:
    return 0 <= value <= 1


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


NOT_NEGATIVE = Kind("a number of at least 0", float, _not_negative, float)
NOT_NEGATIVE_EACH = Kind(
    "a number of at least 0, or one for each parameter",
    lambda value: float(value) if np.ndim(value) == 0 else _floats(value),
    _not_negative,
    float,
)
BELOW_ONE = Kind("a number from 0 to below 1", float, _below_one, float)
UP_TO_ONE = Kind("a number from 0 to 1", float, _up_to_one, float)
FLAG = Kind("true or false", lambda value: value, lambda value: isinstance(value, bool), _flag)
PAIR_BELOW_ONE = Kind(
    "two numbers from 0 to below 1, as 0.9/0.999",
    _floats,
    lambda pair: len(pair) == 2 and all(map(_below_one, pair)),
    lambda text: _floats(text.split("/")),
)


def taken(kinds: Mapping[str, Kind], values: Mapping[str, Any]) -> dict[str, Value]:
    """`values` as plain Python values."""
    return {name: kinds[name].take(value) for name, value in values.items()}


def check_values(where: str, kinds: Mapping[str, Kind], values: Mapping[str, Value]) -> None:
    """Refuses hyperparameters that cannot be used.

    Raises:
        ValueError: there are such; the error names all of them.
    """
    wrong = [name for name in kinds if name in values and not kinds[name].allows(values[name])]
    if wrong:
        raise refusal(
            f"{where}: unusable hyperparameters, got {', '.join(f'{name}={values[name]}' for name in wrong)}, "
            f"expected {', '.join(f'{name} {kinds[name].expected}' for name in wrong)}",
            help="the learning rate sets the length of a step, what lies below 1 how long the past is remembered",
        )
