"""From the gradients that were measured to a status for each layer: a pure function of the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from layerdiff.compare.result import GradientLayer, Gradients, Measure, Status, Verdict

__all__ = ["settled_gradients"]

_INHERITED: tuple[Status, str] = ("inherited", "only the gradient that is sent back to it differs")
_NOT_SENT: tuple[Status, str] = ("unjudged", "the gradient that is sent back to it was not compared")
_OUTSIDE: tuple[Status, str] = (
    "fault", "the gradient that is sent back to it differs, though no layer is wrong by itself",
)  # fmt: skip

Exceeds = Callable[[Measure], bool]


def settled_gradients(found: Gradients, exceeds: Exceeds) -> Gradients:
    """The gradients with every status, reason and the verdict set.

    A layer is at fault when its own way back, from the expected network's values and gradient, exceeds the allowance.
    It inherits when it does not, but what the rest of the network sends back to it is wrong, and some layer is at
    fault: one behind it, whose gradient is wrong, or one before it, whose values the layers behind it then took. Where
    none is, the layer nearest to the end is at fault: gradients flow from there to the beginning, and so does blame.

    Args:
        found: as measured.
        exceeds: whether a measure is beyond what is allowed.
    """
    alone = [_alone(layer, found.dtypes, exceeds) for layer in found.layers]
    blamed = any(status in {"fault", "missing"} for status, _ in alone)
    settled: list[GradientLayer] = []
    for layer, own in sorted(zip(found.layers, alone, strict=True), key=lambda one: -one[0].index):
        sent = [one.measure for one in layer.gradients if one.measure.probe == "propagated"]
        carried = own[0] == "same" and any(exceeds(measure) for measure in sent)
        lacking = own[0] == "same" and not sent and "float64" in found.dtypes
        status, reason = _NOT_SENT if lacking else own if not carried else _INHERITED if blamed else _OUTSIDE
        blamed = blamed or carried
        settled.append(replace(layer, status=status, reason=reason))
    statuses = {layer.status for layer in settled}
    wrong = bool(statuses & {"fault", "missing"})
    verdict: Verdict = "different" if wrong else "same" if statuses == {"same"} else "unknown"
    return replace(found, layers=tuple(settled[::-1]), verdict=verdict)


def _alone(layer: GradientLayer, dtypes: tuple[str, ...], exceeds: Exceeds) -> tuple[Status, str]:
    if layer.partner is None:
        return "missing", "the candidate has no such operation"
    if layer.problems:
        return "fault", layer.problems[0]
    alone = [one for one in layer.gradients if one.measure.probe == "activations"]
    beyond = [one for one in alone if exceeds(one.measure)]
    if beyond:
        names = ", ".join(dict.fromkeys(one.of for one in beyond))
        worst = max(beyond, key=lambda one: one.measure.over / one.measure.size)
        return "fault", (
            f"the gradient of {names} differs: {worst.measure.over:,} of {worst.measure.size:,} values "
            f"in {worst.measure.dtype}"
        )
    if layer.lacking:
        return "unjudged", layer.lacking
    lacking = [dtype for dtype in dtypes if not any(one.measure.dtype == dtype for one in alone)]
    if lacking:
        return "unjudged", f"its gradients were not compared in {' and '.join(lacking)}"
    if any(one.measure.nonfinite_expected for one in alone):
        return "unjudged", "the expected network has gradients that are not finite"
    return "same", ""
