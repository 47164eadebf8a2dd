"""What follows on the same rows is done while they are in the cache.

A block's last convolution, its addition and its rectifier, and the first convolution of the next block all work on
pixels one by one. Done one after the other for a whole image, each pass brings the image from memory again; done band
by band, only the first one does.
"""

from __future__ import annotations

from collections.abc import Iterable

from layerdiff.handwritten.fused.calls import Step

__all__ = ["interleave"]


def interleave(steps: Iterable[Step]) -> list[Step]:
    """The same steps, neighbours that work on the same rows alone joined band by band."""
    joined: list[Step] = []
    for step in steps:
        last = joined[-1] if joined else None
        if last is not None and last.local and step.local and last.bands == step.bands:
            joined[-1] = Step(
                tuple(
                    tuple((*before, *after) for before, after in zip(*parts, strict=True))
                    for parts in zip(last.parts, step.parts, strict=True)
                ),
                step.bands,
                local=True,
            )
        else:
            joined.append(step)
    return joined
