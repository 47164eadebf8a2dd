"""All patterns, the most specific first, and the explanation of a crash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from layerdiff.compare.align import align
from layerdiff.compare.crash import Crash
from layerdiff.compare.pairs import Alignment
from layerdiff.compare.reached import crashed_op, reached
from layerdiff.compare.shape_errors.additions import projection_is_missing, sizes_do_not_fit
from layerdiff.compare.shape_errors.channels import (
    channels_are_not_carried,
    image_has_channels_last,
    image_has_other_channels,
)
from layerdiff.compare.shape_errors.dtypes import precisions_meet
from layerdiff.compare.shape_errors.explanation import Explanation, with_text
from layerdiff.compare.shape_errors.facts import Facts
from layerdiff.compare.shape_errors.first_cause import first_cause
from layerdiff.compare.shape_errors.heads import flatten_is_missing, head_is_for_another_backbone, map_is_not_pooled
from layerdiff.compare.shape_errors.norms import norm_has_one_value, norm_is_for_other_channels
from layerdiff.compare.shape_errors.small_maps import map_is_too_small
from layerdiff.compare.structure import Structure

__all__ = ["explain", "explain_crash_finding", "explain_difference"]

PATTERNS: tuple[Callable[[Facts], Explanation | None], ...] = (
    precisions_meet,
    norm_has_one_value,
    norm_is_for_other_channels,
    image_has_channels_last,
    image_has_other_channels,
    channels_are_not_carried,
    map_is_too_small,
    projection_is_missing,
    sizes_do_not_fit,
    flatten_is_missing,
    map_is_not_pooled,
    head_is_for_another_backbone,
)
"""The patterns that end a forward pass, the more specific of two that may both apply first."""


def explain(crash: Crash, expected: Structure, actual: Structure, alignment: Alignment) -> Explanation:
    """Why the candidate's forward pass raised: which pattern it is, the arithmetic, the place, and what to change.

    Args:
        crash: what raised.
        expected: the expected network.
        actual: the candidate, up to there.
        alignment: of the two, with the operation that raised (`reached.crashed_op`) among the candidate's.

    Returns:
        With an empty code where it is none of the known patterns: then the facts alone are given.
    """
    facts = Facts(expected, actual, alignment, crash)
    found = next((found for pattern in PATTERNS if (found := pattern(facts)) is not None), None) or _unknown(facts)
    earlier = first_cause(facts)
    if earlier is not None and earlier.layer == found.layer and earlier.source == found.source:
        earlier = None
    return with_text(replace(found, cause=earlier))


def explain_difference(expected: Structure, actual: Structure, alignment: Alignment) -> Explanation | None:
    """Why the first shape that differs does, in a candidate that did not raise; None where none differs."""
    found = first_cause(Facts(expected, actual, alignment))
    return with_text(found) if found is not None else None


def explain_crash_finding(expected: Structure, actual: Structure) -> Explanation | None:
    """Why the candidate's forward pass raised; None if it did not. Pairs the two networks itself."""
    if actual.crash is None:
        return None
    ops = (*actual.ops, *crashed_op(actual.crash))
    alignment = align(reached(expected.ops, ops, expected.returned_by), ops)
    return explain(actual.crash, expected, actual, alignment)


def _unknown(facts: Facts) -> Explanation:
    crash = facts.crash
    assert crash is not None
    takes = [f"{layer} gives {list(shape)}" for layer, shape in zip(crash.inputs, crash.input_shapes, strict=False)]
    settings = [f"{role} {list(shape)}" for role, shape in crash.parameter_shapes.items()]
    partner = facts.partner
    place = [f"it stands for {partner.layer}, which gives {list(partner.shape)}"] if partner is not None else []
    what = f"{crash.layer} ({crash.kind})" if crash.layer else "the network"
    return Explanation(
        code="",
        title=f"{what} raised {crash.error}: not one of the known patterns",
        layer=crash.layer,
        arithmetic="",
        change="read the message and the facts below; the first difference above it, if there is one, comes first",
        evidence=(crash.message, *takes, *settings, *place),
        source=crash.source,
    )
