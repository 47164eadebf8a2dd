"""From what steps of training made of every tensor to a status for each: a pure function of the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from layerdiff.compare.result import Measure, Status, Steps, StepTensor, Verdict

__all__ = ["settled_steps"]


def settled_steps(found: Steps, exceeds: Callable[[Measure], bool]) -> Steps:
    """The steps with every status, reason and the verdict set.

    Args:
        found: as measured.
        exceeds: whether a measure is beyond what is allowed.
    """
    tensors = tuple(_settled(one, found.count, exceeds) for one in found.tensors)
    statuses = {one.status for one in tensors}
    wrong = bool(statuses & {"fault", "missing"})
    verdict: Verdict = "different" if wrong else "same" if statuses == {"same"} else "unknown"
    return replace(found, tensors=tensors, verdict=verdict)


def _settled(tensor: StepTensor, count: int, exceeds: Callable[[Measure], bool]) -> StepTensor:
    status, reason = _judged(tensor, count, exceeds)
    return replace(tensor, status=status, reason=reason)


def _judged(tensor: StepTensor, count: int, exceeds: Callable[[Measure], bool]) -> tuple[Status, str]:
    if tensor.problems:
        return "fault", tensor.problems[0]
    if len(tensor.measures) < count:
        return "missing", "the candidate has no such tensor"
    beyond = [(number, one) for number, one in enumerate(tensor.measures, 1) if exceeds(one)]
    if beyond:
        number, one = beyond[0]
        return "fault", f"from step {number} on: {one.over:,} of {one.size:,} values differ, by up to {one.max_abs:.1e}"
    return "same", ""
