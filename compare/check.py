"""The comparison in one call: two networks and an input in, a report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from layerdiff.compare.capture import capture
from layerdiff.compare.gathered import Keep
from layerdiff.compare.judge import DTYPES, Dtype
from layerdiff.compare.judging import Judging
from layerdiff.compare.modes import Backward, Mode, in_mode
from layerdiff.compare.result import Report
from layerdiff.compare.steps.mover import Training
from layerdiff.compare.trace import Array, Trace

__all__ = ["compare_networks", "compare_with"]


def compare_networks(
    expected: Any,
    actual: Any,
    x: Array,
    *,
    dtypes: Sequence[Dtype] = DTYPES,
    seed: int = 0,
    until: str | None = None,
    diagnose: bool = True,
    backward: Mode | None = None,
    training: Training | None = None,
    keep_evidence: Keep = "failed",
) -> Report:
    """Whether `actual` is the same network as `expected`, layer by layer, on the input `x`; and if not, why.

    Args:
        expected: the reference, a torch or NumPy network in eval mode.
        actual: the candidate, likewise, with the weights it has and in the mode it is in.
        x: (n, c, h, w) float32.
        dtypes: precisions to judge in.
        seed: of the dense probe and the end-to-end floor.
        until: judge only this part, by layer id or the start of one.
        diagnose: look for the causes of what is different.
        backward: compare the gradients of every layer as well, with batch norms in `train` or `eval` mode.
        training: compare some steps of training as well, see `layerdiff.trained`.
        keep_evidence: of which layers is kept what their error looks like: `failed` (the first ten at fault), `all` or
            `none`.

    Raises:
        InputError: see `capture` and `judge`.
    """
    trace = capture(expected, x, until=until)
    back = None
    if backward is not None:
        with in_mode(expected, backward):
            back = Backward(backward, capture(expected, x, until=until))
    return compare_with(
        trace, actual, x, dtypes=dtypes, seed=seed, until=until, diagnose=diagnose, backward=back, training=training,
        keep_evidence=keep_evidence,
    )  # fmt: skip


def compare_with(
    expected: Trace,
    actual: Any,
    x: Array,
    *,
    name: str | None = None,
    dtypes: Sequence[Dtype] = DTYPES,
    seed: int = 0,
    until: str | None = None,
    on_layer: Callable[[str], None] | None = None,
    diagnose: bool = True,
    on_step: Callable[[str], None] | None = None,
    backward: Backward | None = None,
    training: Training | None = None,
    keep_evidence: Keep = "failed",
) -> Report:
    """`compare_networks` with a reference that is captured already; a candidate that raises is different."""
    judging = Judging(
        expected,
        x,
        name,
        tuple(dtypes),
        seed,
        until,
        on_layer,
        diagnose,
        on_step,
        batches=False,
        backward=backward,
        training=training,
        keep_evidence=keep_evidence,
    )
    return judging.judged(actual)
