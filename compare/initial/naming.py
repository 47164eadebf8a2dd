"""Which rule drew some samples: the one whose exact distribution they all could have come of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from layerdiff.compare.initial.apart import TOLD
from layerdiff.compare.initial.laws import Law, deviation
from layerdiff.compare.initial.rules import Fans, Part, Rule, rules_of
from layerdiff.compare.initial.sample import Sample

__all__ = ["Member", "Named", "named"]

_NO_FANS = Fans(1, 1, 1)
"""For what belongs to no kernel: its rules ask for none."""


@dataclass(frozen=True)
class Member:
    """A tensor whose rule is asked for: its name, figures, and the fans of its layer's weight."""

    name: str
    sample: Sample
    fans: Fans | None


@dataclass(frozen=True)
class Named:
    """Tensors of one rule.

    Attributes:
        members: at least one.
        rule: None where none of those that are known drew them.
        off: by how many standard errors they are from what it says, at most, each alone and all together.
        others: further rules that these samples may have come of.
        alike: whether these are one and the same distribution here, as fan in and fan out are where they are equal.
    """

    members: tuple[Member, ...]
    rule: Rule | None
    off: float = 0.0
    others: tuple[Rule, ...] = ()
    alike: bool = True


def named(members: Sequence[Member], part: Part) -> list[Named]:
    """The members, put together by the rule that drew them; those of which no rule is known last.

    The rule that explains the most of them comes first, then that which explains the most of the rest. A rule explains
    samples if they are within 6 standard errors of its distribution, each alone and all together, and no value lies
    outside of it.

    Args:
        members: of one use; none of them constant.
        part: what they are.
    """
    found: list[Named] = []
    left = list(members)
    while left:
        explained = [(rule, *_explained(rule, left)) for rule in rules_of(part)]
        most = max(len(inside) for _, inside, _ in explained)
        if not most:
            return [*found, Named(tuple(left), None)]
        rule, inside, off = next(one for one in explained if len(one[1]) == most)
        others = [(other, _off(other, inside)) for other in rules_of(part) if other is not rule]
        fitting = [other for other, how_far in others if how_far <= TOLD]
        laws = _laws(rule, inside)
        same = all(_alike(_laws(other, inside), laws) for other in fitting)
        found.append(Named(tuple(inside), rule, off, tuple(fitting), same))
        left = [one for one in left if one not in inside]
    return found


def _explained(rule: Rule, members: Sequence[Member]) -> tuple[list[Member], float]:
    """The members that the rule explains alone; none of them where it does not explain these together."""
    inside = [one for one in members if _off(rule, [one]) <= TOLD]
    off = _off(rule, inside) if inside else 0.0
    return (inside, off) if off <= TOLD else ([], 0.0)


def _alike(laws: Sequence[Law], others: Sequence[Law]) -> bool:
    """Whether these are the same distributions, but for how a square root is rounded."""
    return all(
        one.family == other.family and one.mean == other.mean and math.isclose(one.std, other.std, rel_tol=1e-12)
        for one, other in zip(laws, others, strict=True)
    )


def _off(rule: Rule, members: Sequence[Member]) -> float:
    return deviation(_laws(rule, members), [one.sample for one in members])


def _laws(rule: Rule, members: Sequence[Member]) -> list[Law]:
    return [rule.law(one.fans or _NO_FANS) for one in members]
