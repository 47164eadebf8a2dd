"""Times that can be compared: every contestant in each round, A B A B, so that all meet the same disturbances.

Each runs for a while in its turn before its time is taken, at least once: at first it finds the caches full of
another's arrays, and another's threads still spinning in wait for work (OpenBLAS's spin for 2**28 cycles). The
statistics of a contestant are pyperf's; pyperf does not have the ratio of two contestants round by round.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyperf

__all__ = ["Timed", "in_turn"]

_SETTLED = 0.15  # seconds: others' threads are asleep by then


@dataclass(frozen=True)
class Timed:
    """One contestant's times.

    Attributes:
        milliseconds: of every round, in order.
    """

    milliseconds: tuple[float, ...]

    @cached_property
    def benchmark(self) -> pyperf.Benchmark:
        """The times as pyperf has them, in seconds, one run of as many values as there were rounds."""
        values = [one / 1e3 for one in self.milliseconds]
        run = pyperf.Run(values, metadata={"name": "contestant", "unit": "second"}, collect_metadata=False)
        return pyperf.Benchmark([run])

    @property
    def median(self) -> float:
        """In milliseconds."""
        return 1e3 * float(self.benchmark.median())

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third, in milliseconds."""
        return 1e3 * float(self.benchmark.percentile(25)), 1e3 * float(self.benchmark.percentile(75))

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
            _settle(one)
            start = time.perf_counter()
            one()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: Timed(tuple(found)) for name, found in times.items()}


def _settle(one: Callable[[], object]) -> None:
    end = time.perf_counter() + _SETTLED
    one()
    while time.perf_counter() < end:
        one()
