"""Which rule drew some samples: the one whose exact distribution they all could have come of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from layerdiff.compare.initial.apart import TOLD
from layerdiff.compare.initial.laws import Law, deviation
from layerdiff.compare.initial.rules import Fans, Part, Rule, rules_of
from layerdiff.compare.initial.sample import Sample
from layerdiff.compare.initial.scales import SCALES

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

    A rule explains samples if they are within 6 standard errors of its distribution, each alone and all together, and
    no value lies outside of it. One rule that explains all is taken, with a gain or a standard deviation that is solved
    for if need be; else the rule that explains the most of them, then that which explains the most of the rest. Where
    a rest remains that nothing explains, a rule that explains a single tensor may do so by chance: there are dozens of
    rules, and a tensor of 2,000 values does not tell standard deviations apart that differ by 9 %.

    Args:
        members: of one use; none of them constant.
        part: what they are.
    """
    known = rules_of(part, of_matrices=all(one.fans is None or one.fans.taps == 1 for one in members))
    for rules in (known, _solved(members, part)):
        whole = next((rule for rule in rules if _off(rule, members) <= TOLD), None)
        if whole is not None:
            return [_named(whole, members, rules)]
    found: list[Named] = []
    left = list(members)
    while left:
        explained = [(rule, _explained(rule, left)) for rule in known]
        most = max(len(inside) for _, inside in explained)
        if not most:
            sure = [one for one in found if len(one.members) > 1]
            lone = [member for one in found if len(one.members) == 1 for member in one.members]
            return [*sure, Named((*lone, *left), None)]
        rule, inside = next(one for one in explained if len(one[1]) == most)
        found.append(_named(rule, inside, known))
        left = [one for one in left if one not in inside]
    return found


def _named(rule: Rule, members: Sequence[Member], known: Sequence[Rule]) -> Named:
    fitting = [other for other in known if other is not rule and _off(other, members) <= TOLD]
    laws = _laws(rule, members)
    alike = all(_alike(_laws(other, members), laws) for other in fitting)
    return Named(tuple(members), rule, _off(rule, members), tuple(fitting), alike)


def _solved(members: Sequence[Member], part: Part) -> list[Rule]:
    """Rules with the one number that fits these members best; none where two of them do not say what it depends on."""
    fans = [one.fans or _NO_FANS for one in members]
    if part != "kernel" or len({(one.fan_in, one.fan_out) for one in fans}) < 2:
        return []
    samples = [one.sample for one in members]
    weights = [sample.n for sample in samples]
    found = []
    for how in SCALES:
        # The mean of the logarithms is what the standard errors of all together are counted from.
        logs = [math.log(sample.std) - math.log(how.size(fan)) for sample, fan in zip(samples, fans, strict=True)]
        factor = math.exp(sum(w * x for w, x in zip(weights, logs, strict=True)) / sum(weights))
        found += [how.rule(family, factor) for family in ("normal", "uniform", "truncated")]
    return found


def _explained(rule: Rule, members: Sequence[Member]) -> list[Member]:
    """The members that the rule explains alone; none of them where it does not explain these together."""
    inside = [one for one in members if _off(rule, [one]) <= TOLD]
    return inside if inside and _off(rule, inside) <= TOLD else []


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
