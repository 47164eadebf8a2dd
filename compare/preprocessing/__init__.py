"""Preprocessing is a layer: an input held against the reference's for the same picture, and why it differs."""

from __future__ import annotations

from layerdiff.compare.preprocessing.allowance import input_allowance
from layerdiff.compare.preprocessing.diagnose import diagnose_input
from layerdiff.compare.preprocessing.judge_input import judge_input
from layerdiff.compare.preprocessing.layout import as_nchw
from layerdiff.compare.preprocessing.record import Record

__all__ = ["Record", "as_nchw", "diagnose_input", "input_allowance", "judge_input"]
