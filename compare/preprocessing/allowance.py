"""How far two right ways to normalise a picture may lie apart.

With u = 2^-24, grey level r, t = r/255, mean m and deviation s, the input is (t - m)/s. Whoever computes it in
float32 makes, in whatever order, at most these relative errors on each of the terms t/s and m/s: two for the scale
1/255 (the constant and the product), one for m as a number, one more where m is first multiplied by 255, one for the
subtraction, and two for the division by s or the product with 1/s, whose constant is rounded as well. No term gets
more than six: 6u(|t| + |m|)/s. torchvision's own order makes four: the division, the subtraction, s, the division (m:
itself, and the last three). So two right ways are at most 10u(|t| + |m|)/s apart. In grey levels, |t|/s is slope
times r, and |m|/s is |offset|.

Nothing is allowed for the picture itself: the grey levels are whole numbers, and one level is some 10^4 times as
much.
"""

from __future__ import annotations

from layerdiff.compare.preprocessing.record import Record
from layerdiff.compare.trace import Array

__all__ = ["ROUNDINGS", "UNIT", "input_allowance"]

UNIT = 2.0**-24
ROUNDINGS = 10


def input_allowance(x: Array, record: Record) -> Array:
    """The largest difference from the expected input that rounding explains, for each element.

    Args:
        x: the expected input, (n, 3, h, w).
        record: how it was prepared.
    """
    slope, offset = record.slope[:, None, None], record.offset[:, None, None]
    allowed: Array = ROUNDINGS * UNIT * (slope * record.levels(x).clip(min=0) + abs(offset))
    return allowed
