"""From what was found of a pair to the record of each of its expected layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from layerdiff.compare.differences import attribute_differences, parameter_differences, parameters_proven
from layerdiff.compare.lane import Found
from layerdiff.compare.pairs import Pair
from layerdiff.compare.result import LayerResult
from layerdiff.compare.trace import Op

__all__ = ["counterpart", "layer_results", "written_as"]


def layer_results(pair: Pair, found: Sequence[Found], places: Mapping[str, int]) -> list[LayerResult]:
    """One record for each expected operation of a pair, all with the same measures.

    Args:
        pair: the operations.
        found: in each precision.
        places: index of each expected layer.
    """
    problems = (*pair.problems, *(problem for one in found for problem in one.problems))
    ids = [op.layer for op in pair.expected]
    last = pair.actual[-1] if pair.actual else None
    results = []
    for op in pair.expected:
        other = counterpart(op, pair.actual)
        differences: tuple[str, ...] = ()
        if other is not None:
            differences = attribute_differences(op, other) + parameter_differences(op, other)
        results.append(
            LayerResult(
                index=places[op.layer],
                layer=op.layer,
                partner=last.layer if last else None,
                kind=op.kind,
                shape=op.shape,
                inputs=op.inputs,
                measures=tuple(measure for one in found for measure in one.measures),
                problems=tuple(dict.fromkeys(problems)),
                differences=differences,
                parameters_differ=last is not None and not _uses_the_same(op, other, pair),
                source=(other or last or op).source if last else None,
                together=tuple(layer for layer in ids if layer != op.layer),
                written_as=written_as(pair),
                behind=pair.behind,
                pairing=pair.reason if last else "",
                confidence=pair.confidence if last else "",
                float32_only=next((one.float32_only for one in found if one.float32_only), ""),
                float32_before=next((one.float32_before for one in found if one.float32_before), ""),
            )
        )
    return results


def _uses_the_same(op: Op, other: Op | None, pair: Pair) -> bool:
    """Whether the candidate's layer is known to work with the expected parameters.

    That it holds them says so for torch's own code. What somebody wrote himself may still do something to them.
    """
    native = all(one.native for one in pair.actual)
    return parameters_proven(op, other) and (native or not op.parameters)


def written_as(pair: Pair) -> tuple[str, ...]:
    """The candidate's operations as `id (kind)`; none where each side is one operation of one kind."""
    kinds = [[op.kind for op in ops] for ops in (pair.expected, pair.actual)]
    if not pair.actual or (kinds[0] == kinds[1] and len(kinds[0]) == 1):
        return ()
    return tuple(f"{op.layer} ({op.kind})" for op in pair.actual)


def counterpart(op: Op, others: Sequence[Op]) -> Op | None:
    """The one operation among some that does what `op` does: the only one there, or the only one of its kind."""
    if len(others) == 1:
        return others[0]
    same = [other for other in others if other.kind == op.kind]
    return same[0] if len(same) == 1 else None
