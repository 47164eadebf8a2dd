"""Times that can be compared: every contestant in each round, A B A B, so that all meet the same disturbances.

Each runs twice in its turn, and the second time counts: the first finds the caches full of another's arrays, and
another's threads still spinning in wait for work.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Timed", "in_turn"]


@dataclass(frozen=True)
class Timed:
    """One contestant's times.

    Attributes:
        milliseconds: of every round, in order.
    """

    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """In milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third, in milliseconds."""
        low, _, high = statistics.quantiles(self.milliseconds, n=4, method="inclusive")
        return low, high

    def ratio(self, other: Timed) -> float:
        """The median over the rounds of this one's time to the other's in the same round."""
        pairs = zip(self.milliseconds, other.milliseconds, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


def in_turn(contestants: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, Timed]:
    """Each contestant's times over some rounds.

    Args:
        contestants: by name.
        rounds: how many, from 2 up.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, one in contestants.items():
            one()
            start = time.perf_counter()
            one()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: Timed(tuple(found)) for name, found in times.items()}
