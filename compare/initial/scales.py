"""How the spread of weights may depend on a layer's fans, up to a number that is solved for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from layerdiff.compare.initial.laws import CUT, Family, Law
from layerdiff.compare.initial.rules import Fans, Rule

__all__ = ["SCALES", "Scale"]

_CALLS = {"normal": "kaiming_normal", "uniform": "kaiming_uniform", "truncated": "kaiming_normal"}
_CUT_OFF = ", cut off at two standard deviations"


@dataclass(frozen=True)
class Scale:
    """One way to depend on the fans.

    Attributes:
        fan: the name of the fan whose root the standard deviation is divided by; empty where it is always the same.
        size: the standard deviation of weights of these fans, for the factor 1.
    """

    fan: str
    size: Callable[[Fans], float]

    def rule(self, family: Family, factor: float) -> Rule:
        """The rule of that family by which weights have `factor` times this standard deviation."""
        cut = _CUT_OFF if family == "truncated" else ""
        if self.fan:
            name = f"{_CALLS[family]}({self.fan}) of gain {factor:.3g}{cut}"
        elif family == "uniform":
            name = f"uniform within ±{factor * math.sqrt(3):.3g}"
        else:
            name = f"normal(std={factor / (CUT if cut else 1):.3g}){cut}"
        return Rule(name, name, lambda fans: Law(family, factor * self.size(fans)))


SCALES = (
    Scale("", lambda _: 1.0),
    Scale("fan_in", lambda fans: fans.fan_in**-0.5),
    Scale("fan_out", lambda fans: fans.fan_out**-0.5),
)
