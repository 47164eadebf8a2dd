"""Whether a trace is of the input it is judged on: bit for bit, or not at all."""

from __future__ import annotations

import itertools

import numpy as np

from layerdiff.compare.trace import INPUT, Array, Trace, digest
from layerdiff.errors import InputError

__all__ = ["is_of_input"]

_HELP = "run the candidate on exactly these numbers: numpy.save('input.npy', x) writes them"


def is_of_input(trace: Trace, x: Array) -> bool:
    """Whether the trace shows that it is of the input `x`; False where it holds neither the input nor its digest.

    Any other input, however near, is refused: what a difference of the inputs does to the layers, no allowance
    says. A trace in float64 may hold the same numbers in float64.

    Args:
        trace: with its input as `values["input"]`, or its digest.
        x: (n, c, h, w) float32.

    Raises:
        InputError: it is of another input; says how far apart the two are, and what it looks like.
    """
    given = trace.values.get(INPUT)
    if given is None:
        if trace.input_digest and trace.input_digest != digest(x):
            got, expected = trace.input_digest[:12], digest(x)[:12]
            raise InputError(f"{trace.network}: a trace of another input, got {got}, expected {expected}", help=_HELP)
        return bool(trace.input_digest)
    if given.shape != x.shape:
        raise InputError(
            f"{trace.network}: a trace of another input, got shape {given.shape}, expected {x.shape}",
            notes=_rearranged(given, x),
            help=_HELP,
        )
    if not np.array_equal(given, x):
        error = np.abs(np.subtract(given, x, dtype=np.float64))
        count = int((given != x).sum())
        raise InputError(
            f"{trace.network}: a trace of another input, got {count:,} of {x.size:,} values that differ, by up to "
            f"{error.max():.1e}, expected none",
            notes=_look(given, x, float(error.max())),
            help=_HELP,
        )
    return True


def _rearranged(given: Array, x: Array) -> list[str]:
    """The order of axes in which one is the other."""
    orders = [order for order in itertools.permutations(range(given.ndim)) if _permuted(given, order) == x.shape]
    return [
        f"its shape is that of the input with its axes in another order: transpose{order}"
        + (", and so are its values" if np.array_equal(given.transpose(order), x) else "")
        for order in orders[:1]
    ]


def _permuted(given: Array, order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(given.shape[axis] for axis in order)


def _look(given: Array, x: Array, greatest: float) -> list[str]:
    if np.array_equal(given[:, ::-1], x):
        return ["it is the input with its channels in reverse order"]
    if np.array_equal(given[:, :, ::-1], x) or np.array_equal(given[..., ::-1], x):
        return ["it is the input mirrored"]
    if greatest <= 1e-4 * float(np.abs(x).max()):
        return ["so near that it seems to be the same picture, prepared by other code"]
    return []
