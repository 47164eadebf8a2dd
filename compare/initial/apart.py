"""How far two samples are apart, in standard errors: what chance alone would make of one distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

from layerdiff.compare.initial.sample import Sample

__all__ = ["SMALLEST", "TOLD", "Apart", "apart"]

TOLD = 6.0
"""Standard errors from which on two samples are told apart. Each figure is nearly normal from sample to sample, so one
lies beyond 6 by chance once in 5e8 times (2e-9). A report of 300 tensors with three figures each gives a false alarm
once in half a million: 900 * 2e-9 = 1.8e-6."""

SMALLEST = 30
"""Values below which the figures are not nearly normal, and nothing is told. With 30 on each side, two samples of
normal values have means that are 6 standard errors apart once in 7e6 times (Student's t with 58 degrees), and standard
deviations that are so, the one 3 times the other, once in 1.4e7 times (Fisher's F with 29 and 29). More values bring
both nearer to 5e8. Weights of heavier tails, which no known rule draws, come nearer with few values: 30 of a Laplace
distribution are a fifth further apart than is reckoned here, 1,000 no more."""

_NORMAL_KURTOSIS = 3.0
_NORMAL_SWAY = 1 - 3 / math.pi


@dataclass(frozen=True)
class Apart:
    """By how many standard errors the figures of two samples differ.

    Attributes:
        mean: their means.
        std: the logarithms of their standard deviations.
        flatness: their shapes.
    """

    mean: float
    std: float
    flatness: float

    @property
    def worst(self) -> float:
        """The greatest of the three."""
        return max(self.mean, self.std, self.flatness)


def apart(expected: Sample, actual: Sample) -> Apart:
    """By how many standard errors two samples of several values each are apart.

    With variances sigma² the mean of n values has the variance sigma²/n; their variance s² has (kurtosis - 1)/n·sigma⁴,
    and so log s has (kurtosis - 1)/(4n); the flatness has sway/n. Kurtosis and sway are the larger of both samples',
    and at least a normal distribution's: a small sample of uniform values may show less than they have.

    Args:
        expected: not constant.
        actual: likewise.
    """
    share = 1 / expected.n + 1 / actual.n
    kurtosis = max(_NORMAL_KURTOSIS, expected.kurtosis, actual.kurtosis)
    sway = max(_NORMAL_SWAY, expected.sway, actual.sway)
    spread = math.sqrt(expected.std**2 / expected.n + actual.std**2 / actual.n)
    return Apart(
        mean=abs(actual.mean - expected.mean) / spread,
        std=abs(math.log(actual.std / expected.std)) / math.sqrt((kurtosis - 1) / 4 * share),
        flatness=abs(actual.flatness - expected.flatness) / math.sqrt(sway * share),
    )
