"""What is known of one cause: its meaning, why it happens, how it is told from others, what to do, and an example."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cause"]


@dataclass(frozen=True)
class Cause:
    """One cause of a difference, as `layerdiff explain CODE` tells it.

    Attributes:
        code: as findings and explanations of shape errors have it: `A1`.
        title: what is different, in a line, without the values of a case.
        meaning: what the candidate does and what the reference does.
        why: how people come to do it.
        signature: what it is recognised by, and what looks like it and how that is told apart.
        fix: what to change.
        sources: public threads in which people met it, as `owner/repository#number`.
        example: a Python program: a small network, the same with this mistake, the comparison, and an assertion that
            this code is found. Where `unseen` says why it cannot be, it shows what there is to see instead.
        convention: whether it is, or (A8) may be, another convention than the reference's and no mistake.
        unseen: why no comparison of forward passes can name it; empty where one can.
        prints: what the example prints: the finding's title.
    """

    code: str
    title: str
    meaning: str
    why: str
    signature: str
    fix: str
    sources: tuple[str, ...]
    example: str
    convention: bool = False
    unseen: str = ""
    prints: str = ""
