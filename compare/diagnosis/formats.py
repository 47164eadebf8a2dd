"""Operations that round what they are given to a shorter format, however that is written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.playback import play
from layerdiff.compare.trace import Op

__all__ = ["rounds_to"]


def rounds_to(chain: Sequence[Op]) -> tuple[str, str] | None:
    """The code and the title of a chain of operations that only rounds; None where it does anything else.

    Told by what the chain gives for numbers of many magnitudes: a format with b bits behind the point is off by at most
    2^-(b+1) of each; float16 has no numbers beyond 65,504, TF32 and bfloat16 have float32's range.

    Args:
        chain: of a candidate, in order.
    """
    taken = outside_inputs(chain)
    if len(taken) != 1:
        return None
    generator = np.random.default_rng(0)
    x = np.ldexp(1 + generator.random((1, 4, 16, 16)), generator.integers(-8, 8, (1, 4, 16, 16))).astype(np.float32)
    try:
        with np.errstate(all="ignore"):
            near, far = (play(chain, {taken[0]: values})[0][-1].output for values in (x, x * np.float32(2**20)))
    except Exception:
        # A chain made for another shape.
        return None
    if near.shape != x.shape or not np.isfinite(near).all():
        return None
    off = float(np.abs(near / x - 1).max())
    if off == 0 or off > 2.0**-8:
        return None
    if off > 2.0**-10:
        return "H2", "values are rounded to bfloat16 on the way"
    if not np.isfinite(far).all():
        return "H2", "values are rounded to float16 on the way"
    return ("H1", "values are rounded to TF32 on the way") if off > 2.0**-12 else None
