"""The verdict on a recorded trace: `verdict.settle`, for layers that no dense input could be put through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from layerdiff.compare.result import LayerResult, Report, Verdict
from layerdiff.compare.verdict import settle

__all__ = ["Seen", "settle_trace"]


@dataclass(frozen=True)
class Seen:
    """What could be seen of one layer in a trace.

    Attributes:
        alone: why it could not be judged by itself; empty where it was.
        end_to_end: why it could not be compared end to end; empty where it was.
    """

    alone: str = ""
    end_to_end: str = ""


def settle_trace(report: Report, seen: Mapping[str, Seen], *, scale: float = 1.0) -> Report:
    """The report with every status, reason, note and the verdict set, as `settle` does.

    A recorded value is judged by itself on the candidate's own recorded inputs, and that is all that a layer needs
    beside the comparison end to end. A layer that lacks one of the two is unjudged, unless what there is shows a fault.

    Args:
        report: as measured.
        seen: by layer id, for every layer of the report.
        scale: multiplies every allowance.
    """
    # `settle` asks for a dense measure in each of the report's precisions. Without any it asks for nothing, and what
    # is lacking is asked for below.
    settled = settle(replace(report, dtypes=()), scale=scale)
    layers = tuple(_corrected(layer, seen[layer.layer]) for layer in settled.layers)
    return replace(settled, layers=layers, dtypes=report.dtypes, verdict=_verdict(report, layers))


def _corrected(layer: LayerResult, seen: Seen) -> LayerResult:
    lacking = seen.alone or (seen.end_to_end if layer.status != "inherited" else "")
    if layer.status in {"fault", "missing"} or not lacking:
        return layer
    return replace(layer, status="unjudged", reason=lacking)


def _verdict(report: Report, layers: tuple[LayerResult, ...]) -> Verdict:
    statuses = {layer.status for layer in layers}
    if report.crash is not None or report.extra or report.output or statuses & {"fault", "missing"}:
        return "different"
    return "same" if statuses == {"same"} and report.output_known and not report.doubts else "unknown"
