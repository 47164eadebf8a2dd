"""The record of how two networks begin: every tensor, the causes, the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from layerdiff.compare.finding import Finding
from layerdiff.compare.initial.apart import Apart
from layerdiff.compare.initial.sample import Sample
from layerdiff.compare.result import Verdict

__all__ = ["Initial", "Status", "TensorResult", "initial_to_json"]

SCHEMA = 1

Status = Literal["same", "different", "missing", "extra", "unjudged"]


@dataclass(frozen=True)
class TensorResult:
    """How one tensor begins in both networks.

    Attributes:
        name: in the expected network; in the candidate for one that is extra.
        partner: its name in the candidate; None where there is none.
        group: what it is for, in words: "the convolutions' weights".
        status: `same`: no figure is further apart than chance explains, or both are the same constant; `missing`: the
            candidate has none; `extra`: only the candidate has it, and it is used; `unjudged`: too few values to tell.
        reason: why it is not same, in words.
        expected: its figures in the expected network; None for one that is extra.
        actual: its figures in the candidate; None for one that is missing.
        apart: by how many standard errors they differ; None where one is constant, or too small.
        pooled: how many values were judged together, where it is too small by itself: the figures are theirs. Else 0.
        drawn: how the reference draws it, in words; empty where that is not known.
    """

    name: str
    partner: str | None
    group: str
    status: Status
    reason: str = ""
    expected: Sample | None = None
    actual: Sample | None = None
    apart: Apart | None = None
    pooled: int = 0
    drawn: str = ""


@dataclass(frozen=True)
class Initial:
    """How two networks begin.

    Attributes:
        expected: the reference, in words.
        actual: the candidate, in words.
        tensors: in the order of the expected network, then what the candidate has on top.
        findings: why tensors differ.
        notes: what the reader must know, such as how the candidate was loaded.
        verdict: `different` where a tensor is different, missing or extra; else `unknown` where one is unjudged, or
            there is none at all; else `same`.
        schema: version of this record's form.
    """

    expected: str
    actual: str
    tensors: tuple[TensorResult, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    verdict: Verdict = "unknown"
    schema: int = SCHEMA


def initial_to_json(initial: Initial) -> bytes:
    """The record as JSON, indented, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(initial), indent=2) + b"\n"
