"""What a finding says: the cause of a difference, what it was read from, and whether undoing it was seen to help."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNEXPLAINED", "Finding"]

UNEXPLAINED = "U1"
"""The code of a finding that names a place and no cause."""


@dataclass(frozen=True)
class Finding:
    """One cause, and the layers it is the cause of.

    Attributes:
        code: stable, such as `C1`; `layerdiff explain CODE` tells what it means.
        title: what is different, in a line, with the values that were solved for: `eps is 0.001, expected 1e-05`.
        layers: ids of the expected network's layers that it explains; for an operation too many, of those that take it.
            `input` for what happened before the first layer.
        change: what to do about it.
        evidence: the facts it was read from, one a line.
        partners: ids of the candidate's operations it is about.
        source: `file:line` in the candidate's code.
        text: that line.
        confirmed: whether the candidate was run again with this one thing undone, and came within the allowance.
        how: what was run again, in words.
        after: the greatest quotient of error and allowance in those layers then; None where it was not confirmed.
        equally: other causes that explain just the same, each as `CODE: title`.
        convention: whether it is another convention than the reference's and no mistake.
    """

    code: str
    title: str
    layers: tuple[str, ...]
    change: str
    evidence: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    source: str | None = None
    text: str = ""
    confirmed: bool = False
    how: str = ""
    after: float | None = None
    equally: tuple[str, ...] = ()
    convention: bool = False
