"""What two paired operations say of themselves that is not equal: evidence beside the values, not a verdict."""

from __future__ import annotations

import numpy as np

from layerdiff.compare.trace import Array, Op

__all__ = ["attribute_differences", "parameter_differences", "parameters_proven"]


def attribute_differences(expected: Op, actual: Op) -> tuple[str, ...]:
    """Attributes that both have and that are not equal, as `name: got …, expected …`."""
    if expected.kind != actual.kind:
        return ()
    both = [name for name in expected.attributes if name in actual.attributes]
    return tuple(
        f"{name}: got {actual.attributes[name]}, expected {expected.attributes[name]}"
        for name in both
        if expected.attributes[name] != actual.attributes[name]
    )


def parameter_differences(expected: Op, actual: Op) -> tuple[str, ...]:
    """Parameters that are absent, of another shape, or not bit for bit the expected ones, as text."""
    found = []
    if not _comparable(expected, actual):
        return ()
    for name in dict.fromkeys((*expected.parameters, *actual.parameters)):
        want, have = expected.parameters.get(name), actual.parameters.get(name)
        if want is None or have is None:
            if have is None or np.any(have != 0):
                found.append(f"{name}: got {_presence(have)}, expected {_presence(want)}")
        elif want.shape != have.shape:
            found.append(f"{name}: got shape {have.shape}, expected {want.shape}")
        elif not np.array_equal(want, have):
            count = int((want != have).sum())
            greatest = float(np.abs(np.subtract(have, want, dtype=np.float64)).max())
            found.append(f"{name}: {count:,} of {want.size:,} values are not as expected, by up to {greatest:.1e}")
    return tuple(found)


def parameters_proven(expected: Op, actual: Op | None) -> bool:
    """Whether all parameters of an operation are bit for bit those of its counterpart, as far as they can be compared.

    Not where there is no counterpart, or where it has them under other names: then nobody has seen that they are equal.
    """
    if actual is None:
        return not expected.parameters
    return _comparable(expected, actual) and not parameter_differences(expected, actual)


def _comparable(expected: Op, actual: Op) -> bool:
    ours, theirs = set(expected.parameters), set(actual.parameters)
    return ours == theirs or not ours.isdisjoint(theirs)


def _presence(array: Array | None) -> str:
    return "none" if array is None else f"one of shape {array.shape}"
