"""Numbers that know how far off they may be: a bound that grows with every operation on them.

A formula evaluated with them gives the result of exact arithmetic and, beside it, by how much the same formula may be
off when each of its operations rounds to a narrower format. Any implementation with those roundings lies within it.

Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.3 (running error analysis).
"""

from __future__ import annotations

import numpy as np

DOUBLE = 2.0**-53
"""The unit roundoff of float64, in which optimisers compute their coefficients."""


class Rounded:
    """An array in NumPy's widest format with a bound on its error.

    `unit` is the roundoff of the format under test plus the widest format's own, so that what is computed here counts
    as exact. Terms of second order are kept: the bounds hold, they are not only estimates.
    """

    def __init__(self, value, error, unit):
        self.value, self.error, self.unit = value, error, unit

    @classmethod
    def exact(cls, array):
        """An array as it is, in whose dtype everything after it is rounded."""
        unit = (np.finfo(array.dtype).eps + np.finfo(np.longdouble).eps) / 2
        return cls(array.astype(np.longdouble), np.zeros(array.shape, dtype=np.longdouble), unit)

    def coefficient(self, number):
        """A Python number, rounded to the dtype of this array, and off by two units in the last place before that.

        Those two are for the same formula written in another way: `x**0.5` for a root.
        """
        return Rounded(np.longdouble(number), abs(np.longdouble(number)) * (self.unit + 4 * DOUBLE), self.unit)

    def filled(self, number):
        """An array like this one of a single number, which is rounded to the format under test and otherwise exact."""
        value = np.full_like(self.value, number)
        return Rounded(value, self.unit * abs(value), self.unit)

    def another_rounding(self):
        """For an implementation that takes one operation more on the way here."""
        return self._rounded(self.value, self.error)

    def _rounded(self, value, error):
        return Rounded(value, error + self.unit * (abs(value) + error), self.unit)

    def _other(self, other):
        other = other if isinstance(other, Rounded) else self.coefficient(other)
        assert other.unit == self.unit, "numbers of two formats: the bound would be that of the wrong one"
        return other

    def __add__(self, other):
        other = self._other(other)
        return self._rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other):
        other = self._other(other)
        return self._rounded(self.value - other.value, self.error + other.error)

    def __mul__(self, other):
        other = self._other(other)
        error = abs(self.value) * other.error + self.error * abs(other.value) + self.error * other.error
        return self._rounded(self.value * other.value, error)

    __rmul__ = __mul__

    def __truediv__(self, other):
        other = self._other(other)
        least = abs(other.value) - other.error
        assert (least > 0).all(), "the divisor may be zero: there is no bound"
        quotient = self.value / other.value
        return self._rounded(quotient, (self.error + abs(quotient) * other.error) / least)

    def sqrt(self):
        """Where x is off by e, its root is off by e over the sum of both roots: at most e/root, and at most root e."""
        root = np.sqrt(self.value)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(self.error == 0, 0, np.minimum(self.error / root, np.sqrt(self.error)))
        return self._rounded(root, error)

    def maximum(self, other):
        """The larger of two; the choice may fall on the other one only where they are that close."""
        return Rounded(np.maximum(self.value, other.value), np.maximum(self.error, other.error), self.unit)
