"""A hypothesis: one mistake, what a candidate that makes it would give, and how it is undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from layerdiff.compare.trace import Array, Op

__all__ = ["Hypothesis"]


@dataclass(frozen=True)
class Hypothesis:
    """One possible cause of what a site shows.

    It is confirmed where `model` gives what the candidate gives, within the model's allowance, on every sample, and the
    candidate with the mistake undone gives what is expected.

    Attributes:
        code: of the cause.
        title: in a line, with the values that were solved for: `eps is 0.001, expected 1e-05`.
        change: what to do about it, in the candidate's terms.
        model: operations (see `kit`) that make, out of the expected operation's inputs, what a candidate with exactly
            this mistake gives; empty where nothing can predict it.
        attributes: what to set on the candidate's own operation to undo it.
        parameters: what to give the candidate's own operation as its parameters, by role, to undo it.
        after: operations to run on what the candidate's operation gives, to undo it.
        evidence: the facts it was read from, one a line.
        rank: the smaller, the sooner it is named where several explain the same: 0 where the candidate's code says
            so itself (an attribute that differs), 1 for a single setting, 2 for another formula, 3 for what needs more.
        residual: how far the model is from the candidate, filled in by whoever tried it; None before.
    """

    code: str
    title: str
    change: str
    model: tuple[Op, ...] = field(default=(), repr=False)
    attributes: Mapping[str, object] = field(default_factory=dict)
    parameters: Mapping[str, Array] = field(default_factory=dict, repr=False)
    after: tuple[Op, ...] = field(default=(), repr=False)
    evidence: tuple[str, ...] = ()
    rank: int = 1
    residual: float | None = None
