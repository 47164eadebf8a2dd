"""What a rule of allowance is, and the two facts of floating point that all of them rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Call", "Rule", "is_pair", "smallest_normal", "unit_roundoff"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Call:
    """One operation, run: all that its rule may look at.

    Attributes:
        attributes: stride, padding, eps and the like, of the expected network's operation.
        parameters: its weight, bias, running_mean, running_var.
        inputs: what it was given.
        output: what it gave.
    """

    attributes: Mapping[str, Any]
    parameters: Mapping[str, Array]
    inputs: tuple[Array, ...] = field(repr=False)
    output: Array = field(repr=False)


@dataclass(frozen=True)
class Rule:
    """The allowance of one kind of operation: `constant` times `scale`.

    Attributes:
        scale: takes a `Call`; the size of one rounding error in each element of the output, in the output's
            own units, as an array that broadcasts to the output's shape. Zero: the operation is exact.
        constant: how many such errors two right implementations may lie apart.
        why: where the constant comes from, in a sentence.
        applies: whether a call has all that `scale` looks at, in the form in which it looks at it; shapes and
            attributes only, so that it costs nothing. Somebody's own class need not have it.
        takes_times: whether `scale` takes a factor as well, `times`, and multiplies what is small by it, for kinds
            of large outputs: a pass over one costs as much as all the rest.
    """

    scale: Callable[..., Array]
    constant: float
    why: str
    applies: Callable[[Call], bool] = lambda call: True
    takes_times: bool = False

    def allowance(self, call: Call) -> Array | None:
        """The largest |actual - expected| that rounding explains, for each element of the output; None: not known."""
        return self.allowed(call) if self.applies(call) else None

    def allowed(self, call: Call) -> Array:
        """The same for a call to which the rule applies."""
        return self.scale(call, times=self.constant) if self.takes_times else self.constant * self.scale(call)


def is_pair(value: object) -> bool:
    """Whether an attribute is two whole numbers, as a size, a stride or a padding is."""
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(size, int) for size in value)


def unit_roundoff(dtype: np.dtype[Any]) -> float:
    """Half the distance from 1 to the next number: 2^-24 in float32, 2^-53 in float64.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 2.1.
    """
    return float(np.finfo(dtype).eps) / 2


def smallest_normal(dtype: np.dtype[Any]) -> float:
    """The smallest normal number: below it a product loses digits, or is flushed to zero."""
    return float(np.finfo(dtype).tiny)
