"""The NumPy networks that run by a plan, as candidates: what they let be seen is a trace, perhaps with gaps.

The fused network (`fused`) shows what comes out of its blocks, the one that keeps every layer (`kept`) shows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from layerdiff.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerdiff.compare.gathered import Keep
    from layerdiff.compare.judge import Dtype
    from layerdiff.compare.result import Report
    from layerdiff.compare.trace import Trace
    from layerdiff.handwritten.fused import FusedResNet
    from layerdiff.subject import Subject

__all__ = ["BY_PLAN", "ByPlan", "fused_network", "judge_by_plan"]

ByPlan = Literal["fused", "kept"]
BY_PLAN: tuple[ByPlan, ...] = ("fused", "kept")


def fused_network(subject: Subject, dtype: Any = np.float32) -> FusedResNet:
    """The fused network with the subject's weights.

    Raises:
        InputError: weights are lacking: there is no part of it that could run without them.
    """
    from layerdiff.handwritten import fused

    _check_weights("fused", subject)
    return fused.build(subject.architecture, subject.weights.state, dtype=dtype)


def _outputs(kind: ByPlan, subject: Subject, dtype: Dtype) -> dict[str, NDArray[np.floating]]:
    """What the network lets be seen of its layers, by torchvision's names."""
    from layerdiff.handwritten import kept

    if kind == "fused":
        network = fused_network(subject, dtype)
        return network.blocks(subject.x.astype(network.dtype))
    _check_weights("kept", subject)
    layers = kept.build(subject.architecture, subject.weights.state, dtype=dtype).layers(subject.x.astype(dtype))
    return {name: np.ascontiguousarray(array) for name, array in layers.items()}


def _check_weights(kind: ByPlan, subject: Subject) -> None:
    if subject.weights.missing:
        raise InputError(
            f"{kind}: {len(subject.weights.missing)} tensors are lacking in {subject.weights.source}, "
            "expected all of them",
            help="the textbook network runs as far as they go: --actual numpy --until LAYER",
        )


def judge_by_plan(
    kind: ByPlan,
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
    """Whether the network is the expected one: each layer or block by itself on what it was given, and end to end.

    What lies inside a block of the fused network cannot be seen: batch norms are folded, rectifiers wait. A block is
    allowed what its layers are, one after another, as `compare.trace_gaps` simulates it. That is the allowance of
    direct convolution; that of Winograd's is `handwritten.fused.magnification` times as large, and is not needed: no
    convolution of the network that keeps its layers takes a twentieth of the direct one's.

    Args:
        kind: which network.
        expected: captured on the subject's input.
        subject: architecture, weights and input.
        name: what is said of it in the report.
        dtypes: precisions to run and to judge in.
        seed: of the random amounts in the bounds.
        until: judge only this part.
        on_layer: called with each layer's id before it is measured.
        keep_evidence: of which layers is kept what their error looks like.
    """
    reports = [_judged(kind, expected, subject, dtype, seed, until, on_layer, keep_evidence) for dtype in dtypes]
    return replace(_together(reports), actual=name)


def _judged(
    kind: ByPlan,
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

    x, values = subject.x, _outputs(kind, subject, dtype)
    ops = tuple(replace(op, inputs=(), parameters={}, run=None) for op in expected.ops if op.layer in values)
    trace = Trace(kind, ops, values, ops[-1].layer, input_digest=digest(x))
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
