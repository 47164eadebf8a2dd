"""What somebody's preprocessing would give before it is normalised: grey levels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["Fault", "Prediction"]


@dataclass(frozen=True)
class Fault:
    """One thing that is done otherwise: a code, what is done, what to do instead."""

    code: str
    title: str
    change: str


@dataclass(frozen=True)
class Prediction:
    """Grey levels that a picture would have, and what would have been done otherwise to get them.

    Attributes:
        levels: (n, 3, h, w) float64, 0 to 255 as a rule.
        slack: by how many levels another right implementation may differ, for each element or all.
        whole: whether the levels are whole numbers.
        faults: what is done otherwise than in the reference.
    """

    levels: Array = field(repr=False)
    slack: Array = field(repr=False)
    whole: bool
    faults: tuple[Fault, ...] = ()

    @property
    def spread(self) -> Array:
        """The slack of each element, in the levels' shape."""
        return np.broadcast_to(self.slack, self.levels.shape)
