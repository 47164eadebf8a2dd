"""The repair of one difference between two graphs: missing operations put in, others taken out, inputs set right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from layerdiff.compare.diagnosis.anomalies import Anomalies, Difference
from layerdiff.compare.diagnosis.surgery import Edit
from layerdiff.compare.pairs import Pair, outside_inputs
from layerdiff.compare.trace import INPUT, Trace

__all__ = ["mended_output", "repair"]


def repair(differences: Iterable[Difference], found: Anomalies) -> Edit:
    """What has to change in the candidate for these differences to go, and nothing else.

    Args:
        differences: each of them among the anomalies.
        found: all anomalies.
    """
    differences = list(differences)
    edit = Edit()
    names = _names(differences, found)
    missing = [op for one in differences for op in one.missing]
    extra = [op for one in differences for op in one.extra]
    for op in missing:
        inputs = tuple(names.get(layer) or layer for layer in op.inputs)
        edit.added[names[op.layer]] = replace(op, layer=names[op.layer], inputs=inputs, source=None)
    edit.dropped.update(op.layer for op in extra)
    pairs = [pair for one in differences for pair in one.pairs]
    for pair in dict.fromkeys(_key(pair) for pair in (*pairs, *found.takers(missing), *found.pairs_behind(extra))):
        _rewire(next(p for p in found.alignment.pairs if _key(p) == pair), names, edit)
    return edit


def mended_output(expected: Trace, differences: Iterable[Difference], found: Anomalies) -> str | None:
    """The id of the operation whose output the repaired candidate returns."""
    return _names(list(differences), found).get(expected.returned_by or "")


def _key(pair: Pair) -> str:
    return pair.expected[-1].layer


def _names(differences: list[Difference], found: Anomalies) -> dict[str, str]:
    """For each expected operation the id of what stands for it in the repaired candidate."""
    names = {INPUT: INPUT}
    for pair in found.alignment.pairs:
        if pair.actual:
            names[pair.expected[-1].layer] = pair.actual[-1].layer
    taken = set(found.there.ops)
    for one in differences:
        for op in one.missing:
            name = op.layer
            while name in taken:
                name += "'"
            taken.add(name)
            names[op.layer] = name
    return names


def _rewire(pair: Pair, names: dict[str, str], edit: Edit) -> None:
    """Let a pair's operations of the candidate take what stands for what the expected ones take."""
    needed = outside_inputs(pair.actual)
    wanted = outside_inputs(pair.expected)
    if len(needed) != len(wanted) or (
        len(pair.actual) == len(pair.expected) == 1 and len(pair.actual[0].inputs) != len(pair.expected[0].inputs)
    ):
        _replace(pair, names, edit)
        return
    if len(pair.actual) == len(pair.expected) == 1:
        op, other = pair.expected[0], pair.actual[0]
        targets = [names.get(layer) for layer in op.inputs]
        own = list(other.inputs)
        if op.kind == "add" and len(own) == 2 and (own[0] == targets[1] or own[1] == targets[0]):
            targets.reverse()
        edit.inputs[other.layer] = tuple(t or mine for t, mine in zip(targets, own, strict=True))
        return
    feeds = dict(zip(needed, pair.feeds, strict=True)) if len(needed) == len(pair.feeds) else {}
    for op in pair.actual:
        edit.inputs[op.layer] = tuple(
            names.get(feeds[layer]) or layer if layer in feeds else layer for layer in op.inputs
        )


def _replace(pair: Pair, names: dict[str, str], edit: Edit) -> None:
    """Put the expected operations in the place of a pair's that take another number of inputs."""
    last = pair.actual[-1]
    inside = {op.layer: f"{op.layer}'" for op in pair.expected[:-1]}
    edit.dropped.update(op.layer for op in pair.actual)
    for op in pair.expected:
        name = last.layer if op is pair.expected[-1] else inside[op.layer]
        inputs = tuple(inside.get(layer) or names.get(layer) or layer for layer in op.inputs)
        edit.added[name] = replace(op, layer=name, path=last.path, inputs=inputs, source=last.source)
