"""An imprint of an array's values, to see whether somebody has written to it behind one's back."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["imprint"]

_COLUMNS = 64


def imprint(array: Array) -> int:
    """A number that changes when a value does, taken in one pass over the memory.

    Sums, modulo 2^64, of every 64th pair of numbers: any one change shows, and no common operation leaves all of them
    as they are. It is no protection against somebody who wants to hide.
    """
    flat = array.ravel(order="K")
    words = flat.view(np.uint64) if flat.nbytes % 8 == 0 and flat.size else np.frombuffer(flat.tobytes(), np.uint8)
    whole = words.size // _COLUMNS * _COLUMNS
    sums = np.add.reduce(words[:whole].reshape(-1, _COLUMNS), axis=0, dtype=np.uint64)
    return hash((array.shape, sums.tobytes(), words[whole:].tobytes()))
