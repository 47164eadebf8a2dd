"""What the candidate's own attributes say: those that differ from the expected ones, one by one and all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layerdiff.compare.trace import Op

__all__ = ["differing", "worded"]


def differing(op: Op, other: Op, names: Sequence[str]) -> Iterator[tuple[dict[str, object], dict[str, object]]]:
    """The attributes that differ, and what is expected of them: all of them together first, then each alone.

    Args:
        op: the expected operation.
        other: the candidate's.
        names: which attributes, those first that tell most.
    """
    found = {
        name: other.attributes[name]
        for name in names
        if name in other.attributes and other.attributes[name] != op.attributes.get(name, _DEFAULTS.get(name))
    }
    groups = [list(found), *([name] for name in found if len(found) > 1)]
    for group in groups:
        if group:
            yield (
                {name: found[name] for name in group},
                {name: op.attributes.get(name, _DEFAULTS.get(name)) for name in group},
            )


def worded(changed: dict[str, object], expected: dict[str, object]) -> str:
    """`stride is (1, 1), expected (2, 2)`."""
    return ", and ".join(f"{name} is {value}, expected {expected[name]}" for name, value in changed.items())


_DEFAULTS: dict[str, object] = {"padding_mode": "zeros", "ceil_mode": False, "dilation": (1, 1), "groups": 1,
                                "count_include_pad": True, "divisor_override": None}  # fmt: skip
