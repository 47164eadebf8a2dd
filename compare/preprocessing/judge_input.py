"""Whether an input is the expected one: the first thing to judge, before any layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from layerdiff.compare.finding import Finding
from layerdiff.compare.metrics import measure
from layerdiff.compare.preprocessing.allowance import input_allowance
from layerdiff.compare.preprocessing.diagnose import diagnose_input
from layerdiff.compare.preprocessing.layout import as_nchw
from layerdiff.compare.preprocessing.record import Record
from layerdiff.compare.result import InputResult
from layerdiff.compare.trace import Array
from layerdiff.errors import InputError

__all__ = ["judge_input"]


def judge_input(
    expected: Array, actual: Array, pictures: Sequence[Array], record: Record, *, source: str
) -> tuple[InputResult, tuple[Finding, ...]]:
    """Whether `actual` is `expected` to within what rounding explains, and why not.

    Args:
        expected: the reference's input, (n, 3, h, w) float32.
        actual: of as many samples, or of one for each picture: `expected` begins with these.
        pictures: (h0, w0, 3) uint8 each.
        record: how the reference's input is made.
        source: what made `actual`, in words.

    Raises:
        InputError: `actual` is no picture, has another number of samples, or values that are not finite.
    """
    found, notes = as_nchw(actual, expected.shape, source)
    if len(found) not in {len(expected), len(pictures)}:
        wanted = " or ".join(str(count) for count in sorted({len(pictures), len(expected)}))
        raise InputError(f"{source}: another number of samples, got {len(found)}, expected {wanted}")
    if len(found) < len(expected):
        notes = (*notes, f"held against the first {len(found)} of {len(expected)} samples")
    expected = expected[: len(found)]
    compared = None
    if found.shape == expected.shape:
        compared = measure("propagated", expected, found, input_allowance(expected, record))
        if compared.ratio is not None and math.isfinite(compared.ratio) and compared.ratio <= 1:
            return InputResult(source, found.shape, expected.shape, compared, notes), ()
    findings = diagnose_input(expected, found, pictures, record)
    return InputResult(source, found.shape, expected.shape, compared, notes), findings
