"""The fused network as a candidate: what comes out of its blocks, judged as a trace with gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from layerdiff.errors import InputError

if TYPE_CHECKING:
    from layerdiff.compare.gathered import Keep
    from layerdiff.compare.judge import Dtype
    from layerdiff.compare.result import Report
    from layerdiff.compare.trace import Trace
    from layerdiff.handwritten.fused import FusedResNet
    from layerdiff.subject import Subject

__all__ = ["fused_network", "judge_fused"]


def fused_network(subject: Subject, dtype: Any = np.float32) -> FusedResNet:
    """The fused network with the subject's weights.

    Raises:
        InputError: weights are lacking: there is no part of it that could run without them.
    """
    from layerdiff.handwritten import fused

    if subject.weights.missing:
        raise InputError(
            f"fused: {len(subject.weights.missing)} tensors are lacking in {subject.weights.source}, "
            "expected all of them",
            help="the textbook network runs as far as they go: --actual numpy --until LAYER",
        )
    return fused.build(subject.architecture, subject.weights.state, dtype=dtype)


def judge_fused(
    expected: Trace,
    subject: Subject,
    *,
    name: str,
    dtypes: Sequence[Dtype],
    seed: int,
    until: str | None,
    on_layer: Callable[[str], None],
    keep_evidence: Keep = "failed",
) -> Report:
    """Whether the fused network is the expected one: each block by itself on what it was given, and end to end.

    What lies inside a block cannot be seen: batch norms are folded, rectifiers wait. A block is allowed what its layers
    are, one after another, as `compare.trace_gaps` simulates it. That is the allowance of direct convolution; that of
    Winograd's is `handwritten.fused.magnification` times as large, and is not needed.

    Args:
        expected: captured on the subject's input.
        subject: architecture, weights and input.
        name: what is said of it in the report.
        dtypes: precisions to run and to judge in.
        seed: of the random amounts in the bounds.
        until: judge only this part.
        on_layer: called with each layer's id before it is measured.
        keep_evidence: of which layers is kept what their error looks like.
    """
    reports = [_judged(expected, subject, dtype, seed, until, on_layer, keep_evidence) for dtype in dtypes]
    return replace(_together(reports), actual=name)


def _judged(
    expected: Trace,
    subject: Subject,
    dtype: Dtype,
    seed: int,
    until: str | None,
    on_layer: Callable[[str], None],
    keep_evidence: Keep,
) -> Report:
    from layerdiff.compare.judge_trace import judge_trace
    from layerdiff.compare.trace import Trace, digest

    x = subject.x
    network = fused_network(subject, dtype)
    values = network.blocks(x.astype(network.dtype))
    ops = tuple(replace(op, inputs=(), parameters={}, run=None) for op in expected.ops if op.layer in values)
    trace = Trace("fused", ops, values, ops[-1].layer, input_digest=digest(x))
    return judge_trace(expected, trace, x, seed=seed, until=until, on_layer=on_layer, keep_evidence=keep_evidence)


def _together(reports: Sequence[Report]) -> Report:
    """One report of the same layers in several precisions."""
    from layerdiff.compare.verdict import settle

    first, *others = reports
    layers = list(first.layers)
    for other in others:
        layers = [
            replace(
                one,
                measures=one.measures + two.measures,
                problems=one.problems + two.problems,
                evidence=one.evidence or two.evidence,
            )
            for one, two in zip(layers, other.layers, strict=True)
        ]
    dtypes = tuple(dtype for report in reports for dtype in report.dtypes)
    doubts = tuple(dict.fromkeys(doubt for report in reports for doubt in report.doubts))
    return settle(replace(first, layers=tuple(layers), dtypes=dtypes, doubts=doubts))
