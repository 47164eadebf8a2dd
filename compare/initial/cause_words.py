"""What findings on fresh tensors say: which tensors, what is expected of them, and the figures that show it."""

from __future__ import annotations

from collections.abc import Sequence

from layerdiff.compare.initial.initial import TensorResult
from layerdiff.compare.initial.rules import call_of

__all__ = ["change_words", "evidence_of", "expected_words", "scale_words", "which"]


def which(members: Sequence[TensorResult], tensors: Sequence[TensorResult] = ()) -> str:
    """The tensors in words: all of their use that were compared, or how many of them."""
    group = members[0].group
    total = sum(one.group == group and one.status in {"same", "different"} for one in tensors)
    return group if len(members) >= total else f"{len(members)} of {total} {group.removeprefix('the ')}"


def expected_words(members: Sequence[TensorResult]) -> str:
    """How the reference begins with such tensors: a rule's name, `all 1`, or the spread of the first."""
    first = members[0]
    if first.expected is None:
        return "none, or 0"
    return first.drawn or f"std {first.expected.std:.3g}, of no rule that is known"


def change_words(members: Sequence[TensorResult]) -> str:
    """What to do to begin with them as the reference does, as a call of torch where it draws them."""
    first = members[0]
    if first.expected is None:
        return "leave them out, or let them begin at 0"
    if first.expected.constant is not None:
        return f"let them begin at {first.expected.constant:g}"
    return f"draw them by {call_of(first.drawn)}" if first.drawn else "draw them as the reference does"


def evidence_of(members: Sequence[TensorResult]) -> tuple[str, ...]:
    """The figures of the first of them on both sides, in a line."""
    first = members[0]
    return (f"{first.name}: {first.reason}",)


def scale_words(what: str, members: Sequence[tuple[TensorResult, int]]) -> str:
    """A figure by which rules are known, over all tensors: `std²·fan_in: got 0.33, expected 0.5 to 2`."""
    got = [one.actual.std**2 * fan for one, fan in members if one.actual is not None]
    wanted = [one.expected.std**2 * fan for one, fan in members if one.expected is not None]
    return f"{what}: got {_span(got)}, expected {_span(wanted)}"


def _span(values: Sequence[float]) -> str:
    low, high = (f"{value:.2g}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
