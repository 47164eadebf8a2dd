"""Why a layer's gradients are wrong: the mistake whose gradients are those that the candidate gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.gradients.chain import Chained, NoGradientError, chained
from layerdiff.compare.gradients.cut import cut_off, cuts, joined_again
from layerdiff.compare.gradients.mistakes import Case, Mistake, mistakes
from layerdiff.compare.gradients.together import allowed_together
from layerdiff.compare.pairs import Pair, outside_inputs
from layerdiff.compare.trace import Array, Op, Pull, Pulled

__all__ = ["Sample", "cause_of", "merged", "undone"]

_ROUNDINGS = 64
"""Roundings of a model's largest gradient, granted beside the allowance: it is made of other sums than that is for."""


@dataclass(frozen=True)
class Sample:
    """What one pair was given on the way back.

    Attributes:
        given: the value of everything it takes from outside, by expected id.
        gradient: of what it gives.
    """

    given: Mapping[str, Array]
    gradient: Array


def cause_of(pair: Pair, samples: Sequence[Sample], names: Mapping[str, str]) -> Finding:
    """The mistake that explains a pair's gradients on all samples; unexplained where none does.

    Args:
        pair: one that was found at fault.
        samples: in float64: the expected network's own values, and dense ones.
        names: the candidate's name for each of the expected tensors.
    """
    op = pair.expected[-1]
    base = Finding(
        UNEXPLAINED, f"the way back is unexplained at {op.layer}", (op.layer,),
        "compare the backward of this layer with the reference's, by hand",
        partners=tuple(one.layer for one in pair.actual), source=pair.actual[-1].source,
    )  # fmt: skip
    lacking = cut_off(pair, samples[0].given, samples[0].gradient)
    if lacking:
        return _cut(base, pair, lacking)
    if len(pair.expected) > 1 or len(op.inputs) != 1:
        return base
    found: list[list[Mistake]] = []
    for sample in samples:
        case, lacking = _case(pair, sample, names)
        if lacking:
            return _cut(base, pair, lacking)
        if case is None:
            return base
        fitting = [one for one in mistakes(case) if _explains(one, case, pair, sample)]
        found.append(fitting)
    titles = [{(one.code, one.title) for one in fitting} for fitting in found]
    both = [one for one in found[0] if all((one.code, one.title) in other for other in titles[1:])] if found else []
    if not both:
        return base
    first = both[0]
    others = dict.fromkeys(f"{one.code}: {one.title}" for one in both[1:] if one.code != first.code)
    return replace(base, code=first.code, title=first.title, change=first.change, equally=tuple(others))


def _cut(base: Finding, pair: Pair, lacking: Sequence[str]) -> Finding:
    """Nothing reaches what is `lacking`: named after the operation that cuts it off, where one was seen."""
    seen = cuts(pair)
    if not seen:
        return replace(
            base, code="J9", title=f"no gradient flows to {' and '.join(lacking)}",
            change="take out what cuts it off: detach, .data, no_grad, a copy made with torch.tensor or NumPy",
        )  # fmt: skip
    title, change = f"{seen[0].kind} cuts the gradient off", "take it out"
    if not seen[0].graded:
        title = "gradients are switched off here"
        change = "run it outside of torch.no_grad(), or whatever else switches them off"
    return replace(
        base, code="J9", title=title, source=seen[0].source, partners=tuple(one.layer for one in seen),
        evidence=(f"none reaches {' and '.join(lacking)}",), change=change,
    )  # fmt: skip


def undone(ops: Sequence[Op], pair: Pair, names: Mapping[str, str]) -> list[Op] | None:
    """The candidate's operations, without `pair`'s mistake on the way back; None where that cannot be had.

    What cuts a gradient off passes it back; any other goes back as the expected one does.
    """
    if cuts(pair):
        return joined_again(ops, pair)
    if len(pair.expected) > 1:
        return None
    (op,), (other, *more) = pair.expected, pair.actual
    own = other.own_backward
    if (
        more
        or op.pull is None
        or (own is not None and own.layers != (other.layer,))
        or len(other.inputs) != len(op.inputs)
    ):
        return None
    right = op.pull
    return [replace(one, own_backward=None, pull=_renamed(right, names)) if one is other else one for one in ops]


def _renamed(pull: Pull, names: Mapping[str, str]) -> Pull:
    def renamed(inputs: Sequence[Array], covector: Array) -> Pulled:
        found = pull(inputs, covector)
        return Pulled(found.inputs, {names.get(name, name): array for name, array in found.parameters.items()})

    return renamed


def merged(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings of the same mistake in several layers as one."""
    found: dict[tuple[str, str, bool], Finding] = {}
    for one in findings:
        key = (one.code, one.title, one.confirmed)
        before = found.get(key)
        found[key] = one if before is None or one.code == UNEXPLAINED else replace(
            before, layers=(*before.layers, *one.layers), partners=(*before.partners, *one.partners),
            evidence=tuple(dict.fromkeys((*before.evidence, *one.evidence))),
        )  # fmt: skip
    return tuple(found.values())


def _case(pair: Pair, sample: Sample, names: Mapping[str, str]) -> tuple[Case | None, list[str]]:
    """The case in the words of `mistakes`, and what no gradient reaches though one should."""
    op = pair.expected[-1]
    try:
        want = chained(
            pair.expected, {layer: sample.given[layer] for layer in outside_inputs(pair.expected)}, sample.gradient
        )
        needed = outside_inputs(pair.actual)
        got = chained(
            pair.actual, {a: sample.given[b] for a, b in zip(needed, pair.feeds, strict=True)}, sample.gradient
        )
    except NoGradientError:
        return None, []
    right, have = _named(op, want), _named_actual(pair, got, names)
    lacking = [op.inputs[0] if name == "input" else op.keys.get(name, name) for name in right if name not in have]
    if lacking or any(have[name].shape != array.shape for name, array in right.items()):
        return None, lacking
    return Case(op, sample.given[op.inputs[0]], sample.gradient, right, have), []


def _named(op: Op, found: Chained) -> dict[str, Array]:
    roles = {key: role for role, key in op.keys.items()}
    named = {roles[name]: array for name, array in found.parameters.items() if name in roles}
    return ({"input": found.inputs[op.inputs[0]]} if op.inputs[0] in found.inputs else {}) | named


def _named_actual(pair: Pair, found: Chained, names: Mapping[str, str]) -> dict[str, Array]:
    op = pair.expected[-1]
    takes = dict(zip(outside_inputs(pair.actual), pair.feeds, strict=True))
    own = {names.get(key, key): role for role, key in op.keys.items()}
    named = {own[name]: array for name, array in found.parameters.items() if name in own}
    parts = [array for name, array in found.inputs.items() if takes.get(name) == op.inputs[0]]
    return ({"input": sum(parts[1:], parts[0])} if parts else {}) | named


def _explains(mistake: Mistake, case: Case, pair: Pair, sample: Sample) -> bool:
    bound = allowed_together(pair.expected, sample.given, sample.gradient)
    if bound is None:
        return False
    for name, right in case.right.items():
        model = mistake.gradients.get(name, right)
        allowed = (
            bound.inputs.get(case.op.inputs[0]) if name == "input" else bound.parameters.get(case.op.keys.get(name, ""))
        )
        if allowed is None:
            return False
        own = (
            _ROUNDINGS * np.finfo(np.float64).eps * float(np.abs(model).max(initial=0.0))
            if name in mistake.gradients
            else 0.0
        )
        if not (np.abs(case.got[name] - model) <= allowed + own).all():
            return False
    return True
