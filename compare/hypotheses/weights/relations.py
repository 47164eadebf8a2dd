"""What one tensor is to another: the same, turned, another layer's, scaled, at its initial values, or unrelated."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from layerdiff.compare.hypotheses.channelwise import number
from layerdiff.compare.hypotheses.weights.initial_values import initial_values
from layerdiff.compare.hypotheses.weights.rearrangements import Relation, RelationKind, rearrangement, turned
from layerdiff.compare.hypotheses.weights.tensor_pool import Pool
from layerdiff.compare.trace import Array

__all__ = ["Relation", "RelationKind", "relation", "turned"]

_PLENTY = 1 << 12
"""As many values are looked at before all are."""


def relation(expected: Array, actual: Array, pool: Pool) -> Relation | None:
    """What `actual` is, relative to `expected` and to all tensors of the expected network; None where it is equal.

    Exact relations come before those of numbers: what is a permutation to the bit is nothing else.

    Args:
        expected: the tensor that should be there.
        actual: the candidate's.
        pool: of the expected network.
    """
    if expected.shape == actual.shape and np.array_equal(expected, actual):
        return None
    values = pool.fingerprint(actual)
    if values is not None and values == pool.fingerprint(expected):
        return rearrangement(expected, actual)
    others = pool.same_values(values)
    if others:
        layer, role = others[0].layer, others[0].role
        return Relation("another layer", f"it is {layer}'s {role}", other=(layer, role))
    if expected.shape != actual.shape:
        return Relation("unrelated", f"its shape is {actual.shape}, expected {expected.shape}")
    return _of_numbers(expected, actual)


def _part(array: Array) -> Array:
    """Enough values of an array to see what it is not."""
    return array.reshape(-1)[:: max(1, array.size // _PLENTY)]


def _of_numbers(expected: Array, actual: Array) -> Relation:
    initial = initial_values(actual)
    if initial is not None and not initial.is_like(initial_values(expected)):
        return Relation("initial", f"it is at its initial values: {initial}")
    for name, rounded in _ROUNDINGS.items():
        if np.array_equal(rounded(_part(expected)), _part(actual)) and np.array_equal(rounded(expected), actual):
            return Relation("rounded", f"its values are those of {name}")
    differ = int(np.count_nonzero(expected != actual))
    if differ <= max(1, expected.size // 100):
        first = tuple(int(i) for i in np.argwhere(expected != actual)[0])
        return Relation(
            "few differ", f"{differ:,} of {expected.size:,} values differ, the first at {first}", count=differ
        )
    return _scaled(expected, actual) or _near(_part(expected), _part(actual))


def _scaled(expected: Array, actual: Array) -> Relation | None:
    k = _factor(_part(actual), _part(expected))
    if k is not None and _is_product(actual, k, expected):
        text = "its sign is changed" if k == -1 else f"it is {number(k)} times the expected one"
        return Relation("scaled", text, value=k)
    if _is_shifted(_part(expected), _part(actual)) and _is_shifted(expected, actual):
        shift = float(f"{np.median(_part(actual).astype(np.float64) - _part(expected)):.6g}")
        return Relation("shifted", f"{number(shift)} is added to it", value=shift)
    if expected.ndim > 1 and all(_of_one_factor(expected[i], actual[i]) for i in range(len(expected))):
        return Relation("scaled by row", "each output channel is scaled by a factor of its own")
    return None


def _of_one_factor(expected: Array, actual: Array) -> bool:
    if not expected.any():
        return not actual.any()
    k = _factor(_part(actual), _part(expected))
    return k is not None and _is_product(actual, k, expected)


def _is_shifted(expected: Array, actual: Array) -> bool:
    """Whether one number was added, to what two roundings to float32 leave."""
    want, have = expected.astype(np.float64), actual.astype(np.float64)
    room = 4 * np.finfo(np.float32).eps * float((np.abs(have) + np.abs(want)).max())
    return bool(np.ptp(have - want) <= room)


def _factor(part: Array, whole: Array) -> float | None:
    """The one k with part = k · whole to what rounding to float32 leaves, of as few digits as explain it."""
    want = whole.astype(np.float64)
    size = float(np.vdot(want, want))
    k = float(np.vdot(part.astype(np.float64), want)) / size if size else 0.0
    if k == 0 or not _is_product(part, k, whole):
        return None
    return next(value for digits in range(17) if _is_product(part, value := float(f"{k:.{digits}e}"), whole))


def _is_product(part: Array, k: float, whole: Array) -> bool:
    wide = part.astype(np.float64)
    # Rounded to float32 once, and k itself before: half a unit each.
    room = 2 * np.finfo(np.float32).eps * np.abs(wide) + np.finfo(np.float32).tiny
    return bool((np.abs(wide - k * whole.astype(np.float64)) <= room).all())


def _half(array: Array) -> Array:
    with np.errstate(all="ignore"):
        return array.astype(np.float16).astype(np.float32)


def _cut(bits: int) -> Callable[[Array], Array]:
    """float32 without its last bits, rounded to the nearest, ties to even."""

    def cut(array: Array) -> Array:
        whole = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
        even = (whole >> np.uint32(bits)) & np.uint32(1)
        kept = (whole + np.uint32((1 << (bits - 1)) - 1) + even) & np.uint32(0xFFFFFFFF << bits & 0xFFFFFFFF)
        found: Array = kept.view(np.float32)
        return found

    return cut


_ROUNDINGS: Mapping[str, Callable[[Array], Array]] = {"float16": _half, "bfloat16": _cut(16), "TF32": _cut(13)}
"""How a coarser precision would leave float32 values."""


def _near(expected: Array, actual: Array) -> Relation:
    """How alike two tensors are that are no rearrangement and no multiple of each other."""
    want, have = expected.astype(np.float64), actual.astype(np.float64)
    with np.errstate(all="ignore"):
        apart = float(np.linalg.norm(have - want) / np.linalg.norm(want))
        alike = float(np.corrcoef(want, have)[0, 1]) if want.size > 2 else 0.0
    if apart <= 0.5:
        return Relation("close", f"it is like the expected one, {apart:.2g} of its size away", value=apart)
    return Relation("unrelated", f"it has nothing to do with the expected one (correlation {alike:.2f})", value=alike)
