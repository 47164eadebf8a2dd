"""The way back of one candidate, captured in the mode that is asked for and judged, put into its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from layerdiff.compare.capture import capture
from layerdiff.compare.gradients.judge_gradients import judge_gradients
from layerdiff.compare.modes import Backward, in_mode
from layerdiff.compare.result import Report
from layerdiff.compare.trace import Array
from layerdiff.compare.transfer import Carried
from layerdiff.compare.verdict import settle
from layerdiff.errors import InputError

__all__ = ["with_gradients"]


def with_gradients(
    report: Report,
    backward: Backward,
    network: Any,
    x: Array,
    *,
    carried: Sequence[Carried] = (),
    dtypes: Sequence[str] = ("float32", "float64"),
    seed: int = 0,
    until: str | None = None,
    diagnose: bool = True,
    on_layer: Callable[[str], None] | None = None,
) -> Report:
    """The report with the gradients of `network` beside the expected ones, settled.

    Args:
        report: of the way there.
        backward: what they are held against.
        network: the candidate, with its weights.
        x: (n, c, h, w) float32.
        carried: where the expected network's tensors are in the candidate.
        dtypes: precisions to compute in.
        seed: of the covector and of the dense probe.
        until: judge only this part of the expected network.
        diagnose: look for the causes of what is different.
        on_layer: called with each layer's id before it is measured.

    Raises:
        InputError: the expected network cannot be differentiated, or the candidate cannot be watched.
    """
    if report.crash is not None:
        return settle(replace(report, doubts=(*report.doubts, "its gradients were not looked at: it raises")))
    try:
        with in_mode(network, backward.mode):
            trace = capture(network, x, graded=True)
    except InputError:
        raise
    except Exception as error:
        first = (str(error).splitlines() or ["no message"])[0]
        doubt = f"its gradients were not looked at: in {backward.mode} mode it raises {type(error).__name__}: {first}"
        return settle(replace(report, doubts=(*report.doubts, doubt)))
    found, why = judge_gradients(
        backward.expected, trace, x, mode=backward.mode, carried=carried, dtypes=dtypes, seed=seed, until=until,
        diagnose=diagnose, on_layer=on_layer,
    )  # fmt: skip
    return settle(replace(report, gradients=found, findings=(*report.findings, *why)))
