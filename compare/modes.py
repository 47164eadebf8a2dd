"""Training and eval mode, for a while: what a network is in meanwhile, and what it was afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from layerdiff.compare.trace import Trace

__all__ = ["Backward", "Mode", "in_mode"]

Mode = Literal["train", "eval"]


@dataclass(frozen=True)
class Backward:
    """What the gradients of candidates are held against.

    Attributes:
        mode: `train` or `eval`: how batch norms normalise.
        expected: the reference, captured in that mode.
    """

    mode: Mode
    expected: Trace = field(repr=False)


@contextlib.contextmanager
def in_mode(network: Any, mode: Mode) -> Iterator[None]:
    """Every part of a network is in `mode` meanwhile, but dropout, which is off; all is afterwards as it was.

    Dropout draws anew each time, so no two networks can be compared with it. A NumPy network's running estimates move
    in training; they are put back. (`capture` puts back those of a torch network.)

    Args:
        network: torch or NumPy.
        mode: train or eval.
    """
    parts = [part for _, part in _named_parts(network)]
    before = [part.training for part in parts]
    held = [(part, dict(part.arrays), getattr(part, "num_batches_tracked", None)) for part in parts if _is_numpy(part)]
    # Not `train()`: a candidate's may be a training loop.
    for part in parts:
        part.training = mode == "train" and "dropout" not in type(part).__name__.lower()
    try:
        yield
    finally:
        for part, training in zip(parts, before, strict=True):
            part.training = training
        for part, arrays, count in held:
            part.arrays = arrays
            if count is not None:
                part.num_batches_tracked = count


def _named_parts(network: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(network, "named_modules"):
        return iter(network.named_modules())
    return iter(network.named_layers()) if hasattr(network, "named_layers") else iter(())


def _is_numpy(part: Any) -> bool:
    return isinstance(getattr(part, "arrays", None), dict)
