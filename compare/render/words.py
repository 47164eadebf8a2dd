"""How numbers, names and counts are written, the same in every report."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from layerdiff.compare.result import NOT_REACHED, Gradients, InputResult, LayerResult, Measure, Report, Steps
from layerdiff.compare.verdict import forward_verdict

__all__ = ["answer", "answers", "fold", "input_words", "number", "share", "value", "worst", "worst_of"]


def number(value: float | None) -> str:
    """A number in two digits, never cut: `0`, `3.1e-07`; `-` where there is none."""
    if value is None:
        return "-"
    return "0" if value == 0 else f"{value:.1e}"


def share(measure: Measure | None) -> str:
    """How near a comparison is to its allowance: `0.31`, `<0.01`, `3e+05`; `over` where nothing is allowed."""
    if measure is None:
        return "-"
    if measure.nonfinite_actual:
        return "nan"
    if measure.ratio is None:
        return "over"
    if measure.ratio == 0:
        return "0"
    if measure.ratio < 0.01:
        return "<0.01"
    return f"{measure.ratio:.2f}" if measure.ratio < 100 else f"{measure.ratio:.0e}"


def value(found: float | None) -> str:
    """A value of a tensor in six digits."""
    return "a non-finite value" if found is None else f"{found:.6g}"


def fold(name: str, width: int) -> str:
    """A name folded in the middle to `width` columns."""
    if len(name) <= width:
        return name
    head = (width - 1) // 2
    return name[:head] + "…" + name[len(name) - (width - 1 - head) :]


def worst_of(layer: LayerResult, probe: str = "activations", dtype: str | None = None) -> Measure | None:
    """The measure with the greatest ratio (none at all counts as infinite) of one probe, in one precision or any."""
    found = [m for m in layer.measures if m.probe == probe and dtype in {None, m.dtype}]
    return max(found, key=lambda m: float("inf") if m.ratio is None else m.ratio, default=None)


def worst(report: Report) -> tuple[str, float] | None:
    """The layer nearest to its allowance, and how near, by itself where it was replayed; faults are left out."""
    probes = ("activations", "dense") if report.replayed else ("propagated",)
    found = [
        (m.ratio, layer.layer)
        for layer in report.layers
        if layer.status in {"same", "inherited"}
        for m in layer.measures
        if m.probe in probes and m.ratio is not None and m.ratio <= report.scale
    ]
    if not found:
        return None
    ratio, name = max(found)
    return name, ratio


def input_words(found: InputResult) -> str:
    """Whether what the candidate's own preprocessing gives is the expected input, in a line."""
    notes = f" ({'; '.join(found.notes)})" if found.notes else ""
    if found.measure is None:
        return f"different: got {found.shape}, expected {found.expected}{notes}"
    m = found.measure
    if found.status == "same":
        near = "to the bit" if not m.max_abs else f"at {m.ratio or 0:.2f} of what rounding allows"
        return f"same, {near}{notes}"
    return (
        f"different: {m.over:,} of {m.size:,} values, the greatest by {number(m.max_abs)}; "
        f"the layers are judged on the expected input{notes}"
    )


def answers(report: Report) -> tuple[str, ...]:
    """The verdict of one report: a line for the way there, one for the way back and one for training, if asked for."""
    if report.gradients is None and report.steps is None:
        return (answer(report),)
    there = answer(replace(report, gradients=None, steps=None, verdict=forward_verdict(report)))
    lines = [f"forward   {there}"]
    if report.gradients is not None:
        lines.append(f"backward  {back_answer(report.gradients, report.scale)}")
    if report.steps is not None:
        lines.append(f"training  {steps_answer(report.steps)}")
    return tuple(lines)


def steps_answer(found: Steps) -> str:
    """The verdict on some steps of training in one line."""
    total = len(found.tensors)
    after = f"in {found.count} step{'s' if found.count > 1 else ''} of {found.optimizer}"
    if found.verdict == "same":
        return f"same: {total} of {total} tensors {after}"
    counts = Counter(one.status for one in found.tensors)
    wrong = counts["fault"] + counts["missing"]
    head = "different" if found.verdict == "different" else "could not tell"
    return f"{head}: {wrong} of {total} tensors are others {after}"


def back_answer(found: Gradients, scale: float = 1.0) -> str:
    """The verdict on the way back in one line."""
    total, mode = len(found.layers), f"in {found.mode} mode"
    if found.verdict == "same":
        ratios = [
            (one.measure.ratio, one.of, layer.layer)
            for layer in found.layers
            for one in layer.gradients
            if one.measure.probe == "activations" and one.measure.ratio is not None and one.measure.ratio <= scale
        ]
        ratio, of, layer = max(ratios)
        name = f"the gradient of {of} in {layer}" if of.startswith("input ") else f"the gradient of {of}"
        return f"same: {total} of {total} layers {mode}; the worst, {name}, is at {ratio:.2f} of its allowance"
    counts = Counter(layer.status for layer in found.layers)
    at_fault = counts["fault"] + counts["missing"]
    pieces = [f"{at_fault} layer{'s' * (at_fault != 1)} at fault"]
    pieces.append(f"{counts['inherited']} inherit{'s' * (counts['inherited'] == 1)}")
    pieces.append(f"{counts['same']} same")
    if counts["unjudged"]:
        pieces.append(f"{counts['unjudged']} could not be judged")
    head = "different" if found.verdict == "different" else "could not tell"
    return f"{head} {mode}: " + ", ".join(pieces)


def answer(report: Report) -> str:
    """The verdict of one report in one line."""
    total = len(report.layers)
    part = f" up to {report.until}" if report.until else ""
    if report.scale != 1:
        part += f", allowances times {report.scale:g}"
    if report.tolerance:
        part += f", within {report.tolerance}"
    single = sum(bool(layer.float32_only) and not layer.problems for layer in report.layers)
    if report.verdict != "same":
        return _not_same(report, part, single)
    nearest = worst(report)
    tail = f", {single} of them in float32 alone" if single else ""
    tail += f"; the worst, {nearest[0]}, is at {nearest[1]:.2f} of its allowance" if nearest else ""
    return f"same: {total} of {total} layers{part}{tail}"


def _not_same(report: Report, part: str, single: int) -> str:
    total = len(report.layers)
    counts = Counter(layer.status for layer in report.layers)
    apart = report.input is not None and report.input.status == "fault"
    if apart and {"same"} == set(counts) and not report.output and not report.extra and not report.crash:
        return f"different{part}: its input; given the expected one, {counts['same']} of {total} layers are same"
    if report.output and not counts["fault"] + counts["missing"] and not report.extra and not apart:
        return f"different{part}: {report.output}; by themselves {counts['same']} of {total} layers are same"
    unreached = sum(layer.reason == NOT_REACHED for layer in report.layers)
    at_fault = counts["fault"] + counts["missing"] - unreached
    pieces = [f"{at_fault} layer{'s' * (at_fault != 1)} at fault"]
    if report.extra:
        pieces.append(f"{len(report.extra)} too many")
    if unreached:
        pieces.append(f"{unreached} not reached")
    pieces.append(f"{counts['inherited']} inherit{'s' * (counts['inherited'] == 1)}")
    pieces.append(f"{counts['same']} same")
    if counts["unjudged"]:
        pieces.append(f"{counts['unjudged']} could not be judged")
    if single:
        pieces.append(f"{single} judged in float32 alone")
    if report.doubts:
        pieces.append("where its weights belong is in doubt")
    if not report.output_known:
        pieces.append("what it returns could not be compared")
    if report.crash is not None:
        pieces.insert(0, "its forward pass raised")
    if apart:
        pieces.insert(0, "its input")
    head = "different" if report.verdict == "different" else "could not tell"
    return f"{head}{part}: " + ", ".join(pieces)
