"""From measurements to a verdict: a pure function of the record, so that a saved run can be judged again."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from layerdiff.compare.gradient_verdict import settled_gradients
from layerdiff.compare.result import NOT_REACHED, InputResult, LayerResult, Measure, Report, Status, Verdict
from layerdiff.compare.step_verdict import settled_steps
from layerdiff.errors import InputError

__all__ = ["condemning", "forward_verdict", "settle"]


def settle(report: Report, *, scale: float = 1.0) -> Report:
    """The report with every status, reason, note and the verdict set.

    A layer is at fault when the candidate's operation, given the expected network's input, exceeds the allowance. It
    inherits when it does not, but something it takes its input from is at fault. It is also at fault when it differs
    end to end with nothing at fault before it: then something outside the operation is wrong.

    Args:
        report: as measured.
        scale: multiplies every allowance; 1 leaves them as derived.

    Raises:
        InputError: `scale` is not a finite number above 0.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"scale: of no use, got {scale}, expected a finite number above 0")
    tainted: set[str] = set()
    settled: dict[str, LayerResult] = {}
    for group in _groups(report.layers):
        # Layers that were judged as one inherit as one: what any of them takes from outside is what all of them take.
        inputs = {layer for member in group for layer in member.inputs}
        status, reason = _judge(group[-1], scale, report, inherits=not tainted.isdisjoint(inputs))
        for layer in group:
            if status in {"fault", "missing", "inherited"}:
                tainted.add(layer.layer)
            settled[layer.layer] = replace(layer, status=status, reason=reason, notes=_notes(layer, status, scale))
    layers = [settled[layer.layer] for layer in report.layers]
    report = replace(report, layers=tuple(layers), input=_input(report.input, scale))
    verdict = forward_verdict(report)
    if report.gradients is not None:
        gradients = settled_gradients(report.gradients, lambda measure: _exceeds(measure, scale))
        report = replace(report, gradients=gradients)
        verdict = _both(verdict, gradients.verdict)
    if report.steps is not None:
        steps = settled_steps(report.steps, lambda measure: _exceeds(measure, scale))
        report = replace(report, steps=steps)
        verdict = _both(verdict, steps.verdict)
    return replace(report, verdict=verdict, scale=scale)


def _both(forward: Verdict, back: Verdict) -> Verdict:
    """Same only where there and back are; different where either is."""
    if "different" in {forward, back}:
        return "different"
    return forward if forward == back else "unknown"


def _input(found: InputResult | None, scale: float) -> InputResult | None:
    """The input with its status."""
    if found is None:
        return None
    wrong = found.measure is None or _exceeds(found.measure, scale)
    return replace(found, status="fault" if wrong else "same")


def _groups(layers: Iterable[LayerResult]) -> list[list[LayerResult]]:
    """The layers that were judged as one, each in order, by the place of the last of them."""
    groups: dict[frozenset[str], list[LayerResult]] = {}
    for layer in layers:
        groups.setdefault(frozenset((layer.layer, *layer.together)), []).append(layer)
    return sorted(groups.values(), key=lambda group: group[-1].index)


def forward_verdict(report: Report) -> Verdict:
    """The verdict on the way there alone, from statuses that are set."""
    statuses = {layer.status for layer in report.layers}
    if report.input is not None and report.input.status == "fault":
        # Before the network: whatever is known of that, this is certain.
        return "different"
    if report.blind:
        return "unknown"
    if report.crash is not None or report.extra or report.output or statuses & {"fault", "missing"}:
        return "different"
    return "same" if statuses == {"same"} and report.output_known and not report.doubts else "unknown"


def _judge(layer: LayerResult, scale: float, report: Report, *, inherits: bool) -> tuple[Status, str]:
    without = _unmeasured(layer, report)
    if without is not None:
        return without
    alone = [measure for measure in layer.measures if measure.probe == "activations"]
    if not report.replayed:
        return ("inherited", "only what it is given differs, or also itself") if inherits else _end_to_end(layer, scale)
    beyond = [measure for measure in alone if _exceeds(measure, scale)]
    if beyond:
        return "fault", _describe(beyond, alone)
    hidden = [measure for measure in layer.measures if measure.probe == "dense" and _exceeds(measure, scale)]
    if hidden and layer.parameters_differ:
        return "fault", "a wrong parameter that this image does not show: " + _describe(hidden, hidden)
    lacking = [dtype for dtype in _due(layer, report, alone=True) if _uncompared(layer, dtype, *report.probes)]
    if layer.lacking_alone:
        return "unjudged", layer.lacking_alone
    if lacking:
        return "unjudged", f"it was not compared by itself in {' and '.join(lacking)}"
    if inherits:
        return "inherited", "only what it is given differs"
    if layer.lacking_end_to_end:
        return "unjudged", layer.lacking_end_to_end
    lacking = [dtype for dtype in _due(layer, report, alone=False) if _uncompared(layer, dtype, "propagated")]
    if lacking:
        return "unjudged", f"it was not compared end to end in {' and '.join(lacking)}"
    status, reason = _end_to_end(layer, scale)
    if status == "fault" and layer.behind:
        # What is too many before it explains that, and is named as such.
        return "inherited", f"only what it is given differs, behind {', '.join(layer.behind)}"
    return status, reason


def condemning(layer: LayerResult, scale: float = 1.0) -> Measure | None:
    """The measure for which a layer is at fault, as its reason has it; None where it is at fault for no value.

    Args:
        layer: at fault.
        scale: as it was settled with.
    """
    for probe in ("activations", "dense", "propagated"):
        beyond = [m for m in layer.measures if m.probe == probe and _exceeds(m, scale)]
        if beyond and (probe != "dense" or layer.parameters_differ or layer.problems):
            return _worst(beyond)
    return None


def _unmeasured(layer: LayerResult, report: Report) -> tuple[Status, str] | None:
    """The status of a layer of which no measure can tell; None where its measures do."""
    if layer.partner is None:
        reached = report.crash is None or layer.layer in _before_the_crash(report)
        return "missing", "the candidate has no such operation" if reached else NOT_REACHED
    if layer.problems:
        return "fault", layer.problems[0]
    if any(measure.nonfinite_expected for measure in layer.measures if measure.probe != "dense"):
        return "unjudged", "the expected network gives values that are not finite"
    if not layer.measures and layer.lacking_alone:
        return "unjudged", layer.lacking_alone
    if not layer.measures:
        if layer.float32_only:
            return "unjudged", f"it was not compared: {layer.float32_only}"
        if layer.together:
            return "unjudged", f"no allowance is known for {_listed(layer)} as one"
        return "unjudged", f"no allowance is known for {layer.kind}"
    return None


def _before_the_crash(report: Report) -> set[str]:
    """What the layers that have a partner take, and what that takes: the candidate got beyond it."""
    inputs = {layer.layer: layer.inputs for layer in report.layers}
    found: set[str] = set()
    waiting = [layer.layer for layer in report.layers if layer.partner is not None]
    while waiting:
        for layer in inputs.get(waiting.pop(), ()):
            if layer not in found:
                found.add(layer)
                waiting.append(layer)
    return found


def _listed(layer: LayerResult) -> str:
    return f"{', '.join(layer.together)} and {layer.layer}"


def _due(layer: LayerResult, report: Report, *, alone: bool) -> list[str]:
    """The precisions in which a layer must have been compared.

    One that cannot run in float64, because it keeps numbers of its own in float32, is judged in float32 alone, where
    that was asked for; so is, end to end, what stands behind it.
    """
    excused = bool(layer.float32_only or (layer.float32_before and not alone))
    return [dtype for dtype in report.dtypes if not (excused and dtype == "float64" and "float32" in report.dtypes)]


def _uncompared(layer: LayerResult, dtype: str, *probes: str) -> bool:
    return not set(probes) <= {measure.probe for measure in layer.measures if measure.dtype == dtype}


def _end_to_end(layer: LayerResult, scale: float) -> tuple[Status, str]:
    end_to_end = [measure for measure in layer.measures if measure.probe == "propagated"]
    beyond = [measure for measure in end_to_end if _exceeds(measure, scale)]
    if beyond:
        where = "agrees by itself, differs end to end: " if len(layer.measures) > len(end_to_end) else ""
        return "fault", where + _describe(beyond, end_to_end)
    return "same", ""


def _exceeds(measure: Measure, scale: float) -> bool:
    if measure.nonfinite_actual > measure.nonfinite_expected:
        return True
    return measure.ratio is None or measure.ratio > scale


def _describe(beyond: list[Measure], all_of_them: list[Measure]) -> str:
    worst = _worst(beyond)
    if worst.nonfinite_actual:
        text = f"{worst.nonfinite_actual:,} of {worst.size:,} values are not finite in {worst.dtype}"
    else:
        text = f"{worst.over:,} of {worst.size:,} values differ ({_share(worst)}) in {worst.dtype}"
    agreeing = sorted({measure.dtype for measure in all_of_them} - {measure.dtype for measure in beyond})
    if agreeing == ["float64"]:
        return text + "; float64 agrees: the arithmetic, not the logic"
    if agreeing == ["float32"]:
        return text + "; too small for float32 to show"
    return text


def _worst(beyond: list[Measure]) -> Measure:
    return next((measure for measure in beyond if measure.nonfinite_actual), beyond[0])


def _share(measure: Measure) -> str:
    percent = 100 * measure.over / measure.size
    return f"{percent:.1f}%" if percent >= 0.1 else "<0.1%"


def _notes(layer: LayerResult, status: Status, scale: float) -> tuple[str, ...]:
    notes = []
    if layer.written_as:
        notes.append(f"written as {', '.join(layer.written_as)}")
    if layer.together:
        notes.append(f"judged together with {', '.join(layer.together)}")
    if layer.confidence == "weak":
        notes.append(f"its partner {layer.partner} is a guess: {layer.pairing}")
    if layer.float32_only and not layer.problems:
        notes.append(f"judged in float32 alone: {layer.float32_only}")
    if status not in {"same", "inherited"}:
        return tuple(notes)
    hidden = [measure for measure in layer.measures if measure.probe == "dense" and _exceeds(measure, scale)]
    if hidden:
        notes.append("differs on inputs this network never gives it: " + _describe(hidden, hidden))
    notes.extend(f"{difference} (too little to show in what was compared)" for difference in layer.differences)
    return tuple(notes)
