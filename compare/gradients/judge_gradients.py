"""The way back, layer by layer: the gradients of a candidate against the expected network's, alone and end to end.

A layer's vector-Jacobian product is a function of what it takes and of the gradient of its output. Given the expected
network's for both, a right layer gives the expected gradients of its inputs and parameters, however wrong the layers
around it are. float64 is the arbiter here even more than forwards: end to end, the float32 gradients of two right
networks differ by percents in deep layers, and so only float64 is compared from end to end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from layerdiff.compare.align import aligned
from layerdiff.compare.expected import Part
from layerdiff.compare.finding import Finding
from layerdiff.compare.gradient_verdict import settled_gradients
from layerdiff.compare.gradients.chain import Chained, NoGradientError, chained
from layerdiff.compare.gradients.end_to_end import end_to_end
from layerdiff.compare.gradients.explain import explained
from layerdiff.compare.gradients.homes import homes_of
from layerdiff.compare.gradients.together import Together, allowed_together
from layerdiff.compare.gradients.walk import Walk, covector, is_stopped
from layerdiff.compare.layouts import laid_out
from layerdiff.compare.metrics import measure
from layerdiff.compare.pairs import Pair, outside_inputs
from layerdiff.compare.playback import play
from layerdiff.compare.probe import dense_inputs, dense_shapes
from layerdiff.compare.result import Gradient, GradientLayer, Gradients, Probe
from layerdiff.compare.trace import Array, Trace, upto
from layerdiff.compare.transfer import Carried

__all__ = ["judge_gradients"]

_FAR = 1e-3
"""Of a layer's largest value: a thousand times what float32 rounds, and a thousandth of what another mode changes."""

_OTHERWISE = "in this mode it gives something else on the way there (does a batch norm use the other statistics?)"

_STOPPED = "its gradient differs only where {} stops it: who of equal values gets it, say"


def judge_gradients(
    expected: Trace,
    actual: Trace,
    x: Array,
    *,
    mode: str,
    carried: Sequence[Carried] = (),
    dtypes: Sequence[str] = ("float32", "float64"),
    seed: int = 0,
    until: str | None = None,
    diagnose: bool = True,
    on_layer: Callable[[str], None] | None = None,
) -> tuple[Gradients, tuple[Finding, ...]]:
    """The gradients of every layer of the candidate beside the expected network's, and why they differ.

    What is differentiated is the sum of the outputs, each times a number drawn from the seed: unlike a plain sum it has
    no gradient that a batch norm takes to zero.

    Args:
        expected: the reference, captured on `x` in `mode`.
        actual: the candidate, captured likewise.
        x: (n, c, h, w) float32.
        mode: `train` or `eval`, for the record.
        carried: where the expected network's tensors are in the candidate; by their roles in a layer unless given.
        dtypes: precisions to compute in; end to end only float64.
        seed: of the covector and of the dense probe.
        until: judge only this part of the expected network; its end is then what is differentiated.
        diagnose: look for the causes of what is different; float64 must be among `dtypes`.
        on_layer: called with each layer's id before it is measured.

    Raises:
        InputError: the expected network cannot be differentiated.
    """
    ops = upto(expected.ops, until)
    alignment = aligned(expected, actual, until)
    found: dict[str, list[_Found]] = {}
    walks: dict[str, Walk] = {}
    for dtype in dtypes:
        walk = walks[dtype] = Walk.of(ops, x.astype(dtype), seed)
        for pair in alignment.pairs:
            if pair.expected[-1].layer not in walk.gradients:
                continue
            if on_layer is not None and dtype == dtypes[0]:
                on_layer(pair.expected[-1].layer)
            found.setdefault(pair.expected[-1].layer, []).append(_alone(pair, walk, carried))
        if dtype == "float64":
            for layer, gradient in end_to_end(walk, alignment.pairs, actual.ops).items():
                found[layer].append(_Found((gradient,)))
    layers = [
        _layer(pair, found[pair.expected[-1].layer], ops.index(pair.expected[-1]))
        for pair in alignment.pairs
        if pair.expected[-1].layer in found
    ]
    gradients = Gradients(mode, tuple(sorted(layers, key=lambda layer: layer.index)), tuple(dtypes))
    if not diagnose or "float64" not in walks:
        return gradients, ()
    settled = settled_gradients(gradients, lambda measure: measure.ratio is None or measure.ratio > 1)
    faults = {layer.layer for layer in settled.layers if layer.status == "fault" and _is_of_the_way_back(layer)}
    wrong = [pair for pair in alignment.pairs if pair.expected[-1].layer in faults]
    return gradients, explained(walks["float64"], alignment.pairs, wrong, actual.ops, carried)


def _is_of_the_way_back(layer: GradientLayer) -> bool:
    """Whether it is the gradient that is wrong, and not what the layer gives on the way there."""
    return _OTHERWISE not in layer.problems


@dataclass(frozen=True)
class _Found:
    gradients: tuple[Gradient, ...] = ()
    problems: tuple[str, ...] = ()
    lacking: str = ""
    notes: tuple[str, ...] = ()


def _alone(pair: Pair, walk: Walk, carried: Sequence[Carried]) -> _Found:
    """A pair by itself, on the expected network's values and on dense ones."""
    if not pair.actual:
        return _Found()
    last = pair.expected[-1].layer
    given = {layer: walk.values[layer] for layer in dict.fromkeys((*outside_inputs(pair.expected), *pair.feeds))}
    real = _compared("activations", pair, given, walk.gradients[last], carried, walk)
    if real.problems or real.lacking:
        return real
    played, _ = play(pair.expected, given)
    part = Part(pair, tuple(played), tuple(given[feed] for feed in pair.feeds))
    dense = dense_inputs(part, dense_shapes(part, "real"), played[-1].output.dtype, walk.seed)
    probe = _compared("dense", pair, dense, covector(played[-1].output, walk.seed, last), carried)
    # What only a dense input shows changes no verdict, there or back.
    return _Found((*real.gradients, *probe.gradients), lacking=probe.lacking, notes=real.notes)


def _compared(
    probe: Probe, pair: Pair, given: Mapping[str, Array], gradient: Array, carried: Sequence[Carried],
    walk: Walk | None = None,
) -> _Found:  # fmt: skip
    try:
        want = chained(pair.expected, {layer: given[layer] for layer in outside_inputs(pair.expected)}, gradient)
    except NoGradientError as error:
        return _Found(lacking=f"the expected network's layer: {error}")
    needed = outside_inputs(pair.actual)
    try:
        got = chained(pair.actual, {a: given[b] for a, b in zip(needed, pair.feeds, strict=True)}, gradient)
    except NoGradientError as error:
        return _Found(problems=(f"backward: {error}",))
    if (problem := _gives_otherwise(want.output, got.output)) is not None:
        return _Found(problems=(problem,))
    bound = allowed_together(pair.expected, given, gradient)
    if bound is None:
        return _Found(lacking=f"no allowance is known for the gradients of {pair.expected[-1].kind}")
    found: list[Gradient] = []
    problems: list[str] = []
    notes: list[str] = []
    for name, expected, actual, allowance in _matched(pair, want, got, bound, carried):
        if actual is None:
            problems.append(f"no gradient reaches {name}")
        elif actual.shape != expected.shape or actual.dtype != expected.dtype:
            got_, want_ = (f"{array.dtype}{array.shape}" for array in (actual, expected))
            problems.append(f"the gradient of {name}: got {got_}, expected {want_}")
        elif allowance is None:
            return _Found(lacking=f"no allowance is known for the gradient of {name}")
        else:
            one = measure(probe, expected, actual, allowance)
            before = name.removeprefix("input ")
            if walk is not None and one.over and is_stopped(walk, before, expected, actual, allowance):
                notes.append(_STOPPED.format(before))
                one = measure(probe, expected, expected, allowance)
            found.append(Gradient(name, one))
    return _Found(tuple(found), tuple(problems), notes=tuple(notes))


def _gives_otherwise(want: Array, got: Array) -> str | None:
    """What is wrong with what a layer gives in this mode, where that is far from rounding."""
    size = float(np.abs(want).max(initial=0.0))
    if not float(np.abs(got - want).max(initial=0.0)) > _FAR * size:
        return None
    return _OTHERWISE


def _matched(
    pair: Pair, want: Chained, got: Chained, bound: Together, carried: Sequence[Carried]
) -> list[tuple[str, Array, Array | None, Array | None]]:
    """Each of the expected gradients by name, beside the candidate's and what is allowed."""
    rows: list[tuple[str, Array, Array | None, Array | None]] = []
    takes = dict(zip(outside_inputs(pair.actual), pair.feeds, strict=True))
    for layer, expected in want.inputs.items():
        parts = [got.inputs[name] for name, feed in takes.items() if feed == layer and name in got.inputs]
        actual = sum(parts[1:], parts[0]) if parts else None
        rows.append((f"input {layer}", expected, actual, bound.inputs.get(layer)))
    homes = homes_of(pair, carried)
    for name, expected in want.parameters.items():
        home = homes.get(name)
        actual = got.parameters.get(home.actual) if home is not None else None
        allowance = bound.parameters.get(name)
        want_ = expected
        if home is not None and home.axes is not None and actual is not None and actual.size == expected.size:
            want_ = laid_out(expected, home.axes, actual.shape)
            allowance = None if allowance is None else laid_out(allowance, home.axes, actual.shape)
        rows.append((name, want_, actual, allowance))
    return rows


def _layer(pair: Pair, found: Sequence[_Found], index: int) -> GradientLayer:
    last = pair.actual[-1] if pair.actual else None
    return GradientLayer(
        index=index,
        layer=pair.expected[-1].layer,
        partner=last.layer if last is not None else None,
        kind=pair.expected[-1].kind,
        gradients=tuple(gradient for one in found for gradient in one.gradients),
        problems=tuple(dict.fromkeys(problem for one in found for problem in one.problems)),
        lacking=next((one.lacking for one in found if one.lacking), ""),
        notes=tuple(dict.fromkeys(note for one in found for note in one.notes)),
        source=last.source if last is not None else None,
    )
