"""Winograd's convolution of a tile: the three matrices, and how much they magnify rounding.

F(m) computes m outputs of a convolution with 3 taps from a = m + 2 inputs by a multiplications, where the direct way
takes 3 m: both are polynomials, which are multiplied by multiplying their values at a - 1 points and "at infinity":

    y = A^T [(G g) * (B^T d)]

For images it is applied to rows and columns, so a tile of m x m outputs takes a x a multiplications for each pair of
channels: 36 instead of 144 for m = 4. The points decide how badly rounding is magnified. 0, +-1, +-2 are in most books;
0, +-2/3, +-3/2 give a quarter of their error, because powers of numbers and of their inverses stay close to one.

Source: Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section 4; Barabasz et al., "Error
Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", 2020, for the points.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Transforms", "magnification", "transforms"]

_TAPS = 3
_POINTS = {
    2: (Fraction(0), Fraction(1), Fraction(-1)),
    4: (Fraction(0), Fraction(2, 3), Fraction(-2, 3), Fraction(3, 2), Fraction(-3, 2)),
}


@dataclass(frozen=True)
class Transforms:
    """The matrices of F(m x m, 3x3), each the Kronecker square of the one for a row, so that a tile is a vector.

    Attributes:
        image: (a*a, a*a), turns a tile of the image into its values at the points.
        kernel: (a*a, 9), alike for a kernel.
        output: (m*m, a*a), turns the products of both into a tile of the output.
    """

    image: NDArray[np.float64]
    kernel: NDArray[np.float64]
    output: NDArray[np.float64]


@cache
def transforms(m: int) -> Transforms:
    """The matrices for tiles of m x m outputs, m 2 or 4."""
    image, kernel, output = (_floats(rows) for rows in _row(m))
    return Transforms(*(np.asarray(np.kron(rows, rows), dtype=np.float64) for rows in (image, kernel, output)))


def magnification(m: int) -> float:
    """How much larger than directly the terms are that a tile's outputs are summed from: the constant of its rounding.

    An output is the sum over the a*a points i of A_i (G g)_i (B d)_i, and over the channels. By Cauchy and Schwarz no
    (G g)_i exceeds |G_i| |g|, and no (B d)_i exceeds |B_i| |d|, in 2-norms, so the terms of an output add up to at most

        magnification * |g| * |d|,    magnification = max over outputs of sum_i |A_i| |G_i| |B_i|

    where g is the filter and d the tile of the image, all a x a pixels of it. Directly it is |g| |d| with d the 3x3
    pixels alone. Rounding errors are relative to the terms, so an allowance for the direct way,
    c * u * sqrt(n) * |w| * |patch|, holds for this one with the tile's norm in place of the patch's, `magnification`
    times as large, and n the channels and the terms of both transforms, c_in + 2 a*a, in place of the products.

    Args:
        m: rows and columns of a tile, 2 or 4.
    """
    t = transforms(m)
    of_points = np.linalg.norm(t.image, axis=1) * np.linalg.norm(t.kernel, axis=1)
    return float((np.abs(t.output) @ of_points).max())


def _row(m: int) -> tuple[list[list[Fraction]], list[list[Fraction]], list[list[Fraction]]]:
    """B^T, G and A^T for a row, exactly."""
    points = _POINTS[m]
    image = [[*_coefficients([p for p in points if p != point]), Fraction(0)] for point in points]
    image.append(_coefficients(list(points)))
    kernel = []
    for point in points:
        scale = Fraction(1)
        for other in points:
            scale *= point - other if other != point else 1
        kernel.append([point**k / scale for k in range(_TAPS)])
    kernel.append([Fraction(0)] * (_TAPS - 1) + [Fraction(1)])
    output = [[point**k for point in points] + [Fraction(int(k == m - 1))] for k in range(m)]
    return image, kernel, output


def _coefficients(roots: list[Fraction]) -> list[Fraction]:
    """Of the polynomial with these roots and leading coefficient 1, from the constant term up."""
    found = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *found], [*(-root * c for c in found), Fraction(0)]
        found = [a + b for a, b in zip(shifted, scaled, strict=True)]
    return found


def _floats(rows: list[list[Fraction]]) -> NDArray[np.float64]:
    return np.array([[float(value) for value in row] for row in rows], dtype=np.float64)
