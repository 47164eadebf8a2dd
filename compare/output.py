"""What two networks return, beside what their layers give."""

from __future__ import annotations

from layerdiff.compare.lane import Lane
from layerdiff.compare.pairs import Alignment
from layerdiff.compare.trace import Trace
from layerdiff.errors import InputError

__all__ = ["output_problem"]


def output_problem(
    expected: Trace, actual: Trace, alignment: Alignment, lane: Lane, until: str | None
) -> tuple[bool, str]:
    """Whether what both networks returned was compared, and what is wrong with the candidate's.

    That every layer gives the right values does not say that the network returns them, nor that its forward pass did
    what running its operations again does.

    Raises:
        InputError: the expected network does not return what its operations give.
    """
    if until is not None:
        return True, ""
    want, have = expected.returned, actual.returned
    if want is None or expected.returned_by is None or not lane.reproduces("expected", expected):
        raise InputError(
            "judge: the expected network's output is not what its operations give",
            help="was it changed since it was captured, or does it return something else than one tensor?",
        )
    other = getattr(actual, "returned_as", "")
    if other:
        return True, f"it returns {other}, expected one tensor"
    if have is None:
        return False, ""
    if have.shape != want.shape or have.dtype != want.dtype:
        return True, f"its output is {have.dtype}{have.shape}, expected {want.dtype}{want.shape}"
    source = {pair.actual[-1].layer: pair.expected[-1].layer for pair in alignment.pairs if pair.actual}
    if actual.returned_by is None:
        same = lane.agrees(have, want)
        return False, "" if same else "its output differs, and comes from no operation that was recorded"
    if source.get(actual.returned_by) != expected.returned_by:
        return True, f"its output is that of {actual.returned_by}, expected that of {expected.returned_by}"
    if not lane.reproduces("actual", actual):
        return True, "its output is not what its operations give when they are run again"
    return True, ""
