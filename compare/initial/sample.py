"""What a tensor looks like as a sample: all one value, or how far its values spread, and in which shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["Sample", "sample_of"]

_ROWS = 8


@dataclass(frozen=True)
class Sample:
    """The figures of a sample; those of its finite values where some are not.

    Attributes:
        n: how many values it has.
        mean: their mean.
        std: their standard deviation, of n - 1.
        kurtosis: the fourth moment over the second's square: 3 for normal values, 1.8 for uniform ones.
        flatness: the mean distance from the mean over the standard deviation (Geary's ratio): 0.798 for normal values,
            0.866 for uniform ones.
        sway: n times the variance that the flatness has from sample to sample, as far as this sample tells.
        low: the least value.
        high: the greatest.
        odd: how many values are NaN or infinite.
        orthogonal: whether its rows (its columns, if these are fewer) are all of one length and at right angles.
    """

    n: int
    mean: float
    std: float
    kurtosis: float
    flatness: float
    sway: float
    low: float
    high: float
    odd: int = 0
    orthogonal: bool = False

    @property
    def constant(self) -> float | None:
        """The value that all have; None where they differ, or where some are no numbers."""
        return self.low if self.n and not self.odd and self.low == self.high else None


def sample_of(array: Array) -> Sample:
    """The figures of a tensor's values, computed in float64.

    Args:
        array: of any shape and floating-point precision, its first axis the outputs where it is a kernel or matrix.

    Source: R. C. Geary, "The ratio of the mean deviation to the standard deviation as a test of normality", Biometrika
    1935. The kurtosis of small samples of normal values is very uneven, and this ratio is not: it tells normal values
    from uniform ones with half as many of them.
    """
    values = np.asarray(array, np.float64).ravel()
    finite = values[np.isfinite(values)]
    n, odd = finite.size, values.size - finite.size
    if n == 0:
        return Sample(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, odd)
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return Sample(n, low, 0.0, 0.0, 0.0, 0.0, low, high, odd)
    mean = float(finite.mean())
    z = finite - mean
    root = float(np.sqrt(np.mean(z * z)))
    if root == 0:
        # The squares are below what float64 can hold.
        return Sample(n, mean, 0.0, 0.0, 0.0, 0.0, low, high, odd)
    z /= root
    away, squares = np.abs(z), z * z
    flatness = float(away.mean())
    # What one value adds to the ratio, to first order: |z| - flatness·(z² + 1)/2, whose mean is 0.
    sway = float(np.mean((away - flatness * (squares + 1) / 2) ** 2))
    return Sample(
        n, mean, root * float(np.sqrt(n / (n - 1))), float(np.mean(squares * squares)), flatness, sway, low, high, odd,
        odd == 0 and _orthogonal(np.asarray(array)),
    )  # fmt: skip


def _orthogonal(array: Array) -> bool:
    """Whether the first rows, or columns, are orthogonal and equally long: by chance no drawn ones are.

    Independent rows of n values have angles of about 1/sqrt(n), far beyond float32's rounding of some 1e-7 * sqrt(n)
    for all n below a million; eight rows give 28 angles.
    """
    if array.ndim < 2 or array.size == 0:
        return False
    matrix = array.reshape(len(array), -1)
    matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    rows = matrix[:_ROWS].astype(np.float64)
    if len(rows) < 2 or matrix.shape[1] < 4:
        return False
    gram = rows @ rows.T
    length = float(gram[0, 0])
    # Dirac kernels and identity matrices are no samples at all, but they are constants only channel by channel.
    return length > 0 and float(np.abs(gram / length - np.eye(len(rows))).max()) < 1e-4
