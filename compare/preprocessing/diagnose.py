"""Why an input is not the reference's, as findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.preprocessing.allowance import input_allowance
from layerdiff.compare.preprocessing.explanation import Explanation
from layerdiff.compare.preprocessing.layout import as_nchw
from layerdiff.compare.preprocessing.narrow import narrowed
from layerdiff.compare.preprocessing.record import Record
from layerdiff.compare.preprocessing.search import Found, Tried, describe, search
from layerdiff.compare.trace import INPUT, Array
from layerdiff.errors import InputError

__all__ = ["diagnose_input"]

_HOW = "the picture prepared with exactly what is named"
_WHOLE = 1e-2
_DECODERS = 12.0
"""Grey levels: two JPEG decoders, of any quality, differ by less than that where a picture is not resized to more."""


def diagnose_input(
    expected_x: Array, actual_x: Array, images: Array | Sequence[Array], record: Record
) -> tuple[Finding, ...]:
    """Why `actual_x` is not `expected_x`; empty where it is the same to within what rounding explains.

    Every finding but two kinds is confirmed: the picture was prepared once more with exactly what the findings say
    done otherwise, and that gives `actual_x` to within the allowance. A JPEG decoder (I7) and `U1` cannot be. Several
    findings are causes that come together; `equally` names what would explain the same input.

    Args:
        expected_x: the reference's input, (n, 3, h, w) float32.
        actual_x: the candidate's: (3, h, w), (n, 3, h, w) or with the channels last, of any size and real dtype.
        images: the picture, (h0, w0, 3) uint8, or one for each sample; where there are fewer, only as many samples are
            looked at. Without any, geometry and resizing cannot be recognised.
        record: how the reference's input was made.

    Raises:
        InputError: `actual_x` is no picture, has values that are not finite, or another number of samples.
    """
    pictures = [images] if isinstance(images, np.ndarray) else list(images)
    actual, _ = as_nchw(actual_x, expected_x.shape)
    if len(actual) != len(expected_x):
        raise InputError(f"input: another number of samples, got {len(actual)}, expected {len(expected_x)}")
    if actual.shape == expected_x.shape:
        apart = np.abs(actual.astype(np.float64) - expected_x)
        if (apart <= input_allowance(expected_x, record)).all():
            return ()
        narrow = narrowed(expected_x, actual, record)
        if narrow is not None:
            return (narrow,)
    count = len(pictures) or len(actual)
    found = search(expected_x[:count], actual[:count], pictures[: len(actual)], record)
    if found.explanations:
        return _explained(found.explanations)
    return _unexplained(found, actual[:count], record)


def _explained(explanations: Sequence[Explanation]) -> tuple[Finding, ...]:
    first, *others = explanations
    equally = [
        f"{fault.code}: {fault.title}"
        for other in others
        for fault in other.faults
        if len(other.faults) == len(first.faults) and fault not in first.faults
    ]
    findings = []
    for fault in first.faults:
        same = tuple(dict.fromkeys(text for text in equally if text.startswith(f"{fault.code}: ")))
        findings.append(
            Finding(
                fault.code,
                fault.title,
                (INPUT,),
                fault.change,
                confirmed=True,
                how=_HOW,
                after=first.after,
                equally=same,
            )
        )
    return tuple(findings)


def _unexplained(found: Found, x: Array, record: Record) -> tuple[Finding, ...]:
    nearest = found.tried
    evidence = tuple(describe(nearest))
    unexplained = Finding(
        UNEXPLAINED,
        "the input is another than the reference's, and nothing known makes it",
        (INPUT,),
        "compare it step by step: the picture as it was read, resized, cropped, scaled, normalised",
        evidence,
    )
    decoder = _decoder(nearest, found.levels, x, record)
    return (unexplained,) if decoder is None else (replace(decoder, evidence=(*decoder.evidence, *evidence)),)


def _decoder(nearest: Sequence[Tried], levels: Array | None, x: Array, record: Record) -> Finding | None:
    """What looks like another decoder: the reference's way is nearest, in whole levels, every one off by few."""
    plain = next((one for one in nearest if not one.faults), None)
    if levels is None or plain is None or plain.residual > 1.5 * nearest[0].residual or levels.shape != x.shape:
        return None
    own = record.levels(x)
    greatest = float(np.abs(own - levels).max())
    if greatest > _DECODERS or np.abs(own - np.rint(own)).max() > _WHOLE:
        return None
    return Finding(
        "I7",
        "the picture was decoded otherwise, it seems: no pixel is far off, and none of the known ways to resize fits",
        (INPUT,),
        "decode with Pillow, or with the accurate transform (TensorFlow: dct_method='INTEGER_ACCURATE')",
        (f"at most {greatest:.2g} grey levels off, {plain.residual:.2g} in the root mean square",),
        equally=("I4: the picture is resized in a way that is not known here",),
    )
