"""The judgement of a recorded trace: nothing of the candidate can be run, but the expected network can."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from layerdiff.compare.capture import check_input
from layerdiff.compare.counted import counted
from layerdiff.compare.evidence.records import Operation
from layerdiff.compare.gathered import Keep, gathered
from layerdiff.compare.look import Watch
from layerdiff.compare.metrics import measure
from layerdiff.compare.result import Extra, LayerResult, Measure, Probe, Report
from layerdiff.compare.second_look import Sides
from layerdiff.compare.trace import INPUT, Array, Op, Trace, digest, upto
from layerdiff.compare.trace_gaps import Judged, Replay
from layerdiff.compare.trace_input import is_of_input
from layerdiff.compare.trace_stored import refuse
from layerdiff.compare.verdict import settle
from layerdiff.compare.yardstick import Step, walk
from layerdiff.errors import InputError

__all__ = ["judge_trace"]

_Found: TypeAlias = tuple[Op, Judged, tuple[Measure, ...]]


def judge_trace(
    expected: Trace,
    actual: Trace,
    x: Array,
    *,
    seed: int = 0,
    until: str | None = None,
    on_layer: Callable[[str], None] | None = None,
    keep_evidence: Keep = "failed",
) -> Report:
    """Whether the network that left the trace `actual` is the expected one, layer by layer.

    The candidate cannot be run, so each of its layers is judged by itself the other way round: the expected operation
    is run on the candidate's own recorded inputs, and its output is held against what the candidate recorded. So two
    independent faults are both found, and what only inherits them agrees by itself. Beside that, each layer is compared
    end to end. All is computed in the trace's own precision.

    A trace may lack layers. The next recorded one after a gap is then judged together with all that lie in it. Layers
    after which nothing was recorded are unjudged. Where the trace does not show that it is of the input `x`, no layer
    is compared end to end, and the verdict is never `same`.

    Args:
        expected: the reference, captured on `x`; its operations are run with its parameters.
        actual: values by expected layer id, as `trace_files.read_any_trace` gives them; what the network took as
            `values["input"]`, or its digest.
        x: (n, c, h, w) float32: the input of both.
        seed: of the random amounts in the bounds of gaps and of the end-to-end floor.
        until: judge only this part, by layer id or the start of one.
        on_layer: called with each layer's id before it is measured.
        keep_evidence: of which layers is kept what their error looks like.

    Returns:
        A settled report of one precision. A layer in a gap has the result of the recorded one it was judged with, and
        stands with it in `LayerResult.together`.

    Raises:
        InputError: names that are no layer's, two precisions, no layer to compare, another input than `x`, an expected
            network that cannot be run, was captured on another input or is in training mode.
    """
    check_input(x)
    until = until or expected.until
    ops = upto(expected.ops, until)
    _refuse_expected(expected, ops, x)
    _refuse_unknown(expected, actual)
    known = is_of_input(actual, x)
    values = {op.layer: actual.values[op.layer] for op in ops if op.layer in actual.values}
    dtype = _precision(actual, values, until)
    if known:
        values[INPUT] = x
    walked = _Walk(ops, values, x if known else None, dtype, seed)
    found: list[_Found] = []
    with np.errstate(all="ignore"):
        for op, judged, step in walked.steps(on_layer):
            found.append((op, judged, _measures(judged, step, values.get(op.layer))))
    owners = _owners(found, values)
    report = Report(
        expected=expected.network,
        actual=actual.network,
        layers=counted(_results(found, owners, values, actual.by_layer(), known), ops),
        extra=_extra(expected, actual, values),
        dtypes=(dtype.name,),
        until=until,
        probes=("activations",),
        operations=_operations(actual, set(owners)),
        doubts=() if known else ("the trace does not hold its input, so that it is of the same one is not shown",),
    )

    def again(wanted: Mapping[str, Measure], watch: Watch) -> Sides:
        _look_again(walked, owners, wanted, watch)
        return {}

    return gathered(settle(report), again, keep=keep_evidence)


@dataclass(frozen=True)
class _Walk:
    """The expected network on what the candidate recorded, and, where that is of the same input, beside it end to end.

    Attributes:
        ops: of the expected network, in order.
        values: the candidate's.
        x: the input, where it is known to be the same; else None.
        dtype: to compute in.
        seed: of the random amounts.
    """

    ops: tuple[Op, ...]
    values: Mapping[str, Array] = field(repr=False)
    x: Array | None = field(repr=False)
    dtype: np.dtype[Any]
    seed: int

    def steps(self, on_layer: Callable[[str], None] | None = None) -> Iterator[tuple[Op, Judged, Step | None]]:
        """Every operation, by itself and, where that can be said, end to end."""
        replay = Replay(self.ops, self.values, self.dtype, self.seed)
        steps = None if self.x is None else walk(self.ops, self.x.astype(self.dtype), seed=self.seed)
        for op in self.ops:
            if on_layer is not None:
                on_layer(op.layer)
            step = None if steps is None else next(steps)
            yield op, replay.step(op), step


def _look_again(walked: _Walk, owners: Mapping[str, str], wanted: Mapping[str, Measure], watch: Watch) -> None:
    """Show `watch` the comparisons of the layers in `wanted`."""
    waiting = {owners[layer] for layer in wanted}
    with np.errstate(all="ignore"):
        for op, judged, step in walked.steps() if waiting else ():
            if op.layer in waiting:
                waiting.remove(op.layer)
                layers = tuple(layer for layer, owner in owners.items() if owner == op.layer)
                _measures(judged, step, walked.values[op.layer], partial(watch, layers))
            if not waiting:
                return


def _refuse_expected(expected: Trace, ops: Sequence[Op], x: Array) -> None:
    saved = [op.layer for op in ops if op.run is None]
    if saved:
        raise InputError(
            f"judge: {expected.network} comes from a file, and its operations cannot be run again",
            help="compare_traces compares two saved traces",
        )
    if expected.input_digest != digest(x):
        raise InputError(f"judge: {expected.network} was captured on another input than the one that was given")
    training = [op.layer for op in ops if op.attributes.get("training")]
    if training:
        raise InputError(
            f"judge: {len(training)} layers of the expected network are in training mode, the first {training[0]}",
            help="call eval() on it: in training mode its outputs depend on the rest of the batch",
        )


def _refuse_unknown(expected: Trace, actual: Trace) -> None:
    """Refuse names that people gave and that no layer has; an instrument's own record may have layers of its own."""
    ids = [op.layer for op in expected.ops]
    unknown = [op.layer for op in actual.ops if op.layer not in ids and not op.inputs]
    refuse(
        actual.network,
        [f"no such layer in {expected.network}, got {name!r}{_near(name, ids)}" for name in unknown],
        help="map your names to its layer ids in a manifest, and leave out what has no counterpart",
    )


def _near(name: str, ids: list[str]) -> str:
    near = difflib.get_close_matches(name, ids, n=1)
    return f", expected perhaps {near[0]}" if near else f", expected {ids[0]} or another of its {len(ids)}"


def _precision(actual: Trace, values: Mapping[str, Array], until: str | None) -> np.dtype[Any]:
    dtypes = sorted({value.dtype.name for value in values.values()})
    if len(dtypes) == 1 and dtypes[0] in {"float32", "float64"}:
        return np.dtype(dtypes[0])
    where = f" within {until}" if until else ""
    if not dtypes:
        raise InputError(f"{actual.network}: nothing to compare, got no layer{where}, expected at least one")
    raise InputError(f"{actual.network}: got values of {' and '.join(dtypes)}, expected float32 or float64 throughout")


def _measures(
    judged: Judged,
    step: Step | None,
    value: Array | None,
    show: Callable[[Measure, Array, Array, Array | float | None], None] | None = None,
) -> tuple[Measure, ...]:
    if value is None:
        return ()
    compared: list[tuple[Probe, Array, Array | float]] = []
    if judged.output is not None and judged.allowed is not None and judged.output.shape == value.shape:
        compared.append(("activations", judged.output, judged.allowed))
    if step is not None and step.allowance is not None and step.output.shape == value.shape:
        compared.append(("propagated", step.output, step.floor))
    measures = []
    for probe, output, allowed in compared:
        measures.append(measure(probe, output, value, allowed))
        if show is not None:
            show(measures[-1], output, value, allowed)
    return tuple(measures)


def _owners(found: Sequence[_Found], values: Mapping[str, Array]) -> dict[str, str]:
    """For each layer the recorded one it is judged with: itself, or the first that was reached through it."""
    owners: dict[str, str] = {}
    for op, judged, _ in found:
        if op.layer in values:
            owners |= {layer: op.layer for layer in (*judged.together, op.layer) if layer not in owners}
    # What nothing recorded comes after stands alone.
    return {op.layer: owners.get(op.layer, op.layer) for op, _, _ in found}


def _results(
    found: Sequence[_Found],
    owners: Mapping[str, str],
    values: Mapping[str, Array],
    partners: Mapping[str, Op],
    known: bool,
) -> tuple[LayerResult, ...]:
    """One result for each layer; those in a gap share that of the recorded layer that they are judged with."""
    places = {op.layer: index for index, (op, _, _) in enumerate(found)}
    results = []
    for op, judged, _ in found:
        owner = owners[op.layer]
        _, own, measures = found[places[owner]]
        results.append(
            LayerResult(
                index=places[op.layer],
                layer=op.layer,
                # Not None, which says that the candidate lacks it: only the trace does.
                partner=owner,
                kind=op.kind,
                shape=op.shape,
                inputs=judged.sources,
                measures=measures,
                problems=_problems(own, values.get(owner)),
                source=partners[owner].source if owner in partners else None,
                together=tuple(layer for layer, its in owners.items() if its == owner and layer != op.layer),
                lacking_alone=own.lacking if owner in values else _NO_VALUE,
                lacking_end_to_end="" if known else _NO_INPUT,
            )
        )
    return tuple(results)


def _problems(judged: Judged, value: Array | None) -> tuple[str, ...]:
    if value is None or judged.output is None or value.shape == judged.output.shape:
        return ()
    return (f"shape: got {value.shape}, expected {judged.output.shape}",)


_NO_VALUE = "the trace has no value of it, nor of a layer after it"
_NO_INPUT = "the trace does not hold its input: that it is of the same one is not shown"


def _operations(actual: Trace, layers: Set[str]) -> tuple[Operation, ...]:
    """The candidate's graph; none where the trace says only what came out, and not of what it was made."""
    if not any(op.inputs for op in actual.ops):
        return ()
    partners = {op.layer: op.layer if op.layer in layers else None for op in actual.ops}
    return tuple(Operation(op.layer, op.kind, op.inputs, partners[op.layer], op.source) for op in actual.ops)


def _extra(expected: Trace, actual: Trace, values: Mapping[str, Array]) -> tuple[Extra, ...]:
    ids = {op.layer for op in expected.ops}
    last = max(i for i, op in enumerate(actual.ops) if op.layer in values)
    return tuple(Extra(op.layer, op.kind, op.source) for op in actual.ops[:last] if op.layer not in ids)
