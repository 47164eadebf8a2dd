"""The comparison itself: two traces of one input, layer by layer, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from layerdiff.compare.comparison import DTYPES, Comparison, Dtype
from layerdiff.compare.memory import Memory
from layerdiff.compare.result import Report
from layerdiff.compare.trace import Array, Trace

__all__ = ["DTYPES", "Dtype", "judge", "judge_in_step"]


def judge(
    expected: Trace,
    actual: Trace,
    x: Array,
    *,
    dtypes: Sequence[Dtype] = DTYPES,
    seed: int = 0,
    until: str | None = None,
    on_layer: Callable[[str], None] | None = None,
    crash: str | None = None,
    memory: Memory | None = None,
) -> Report:
    """Whether the candidate is the expected network, layer by layer.

    Every layer of the expected network is compared three ways in each precision: end to end, on the expected
    network's activations, and on a seeded dense input. Both networks run in step, and a layer's values are dropped
    once it is measured.

    Args:
        expected: the reference, captured on `x`.
        actual: the candidate, captured on `x`.
        x: (n, c, h, w) float32: the input of both.
        dtypes: precisions to compute in; float64 is the arbiter of the logic, float32 of the arithmetic.
        seed: of the dense probe and of the end-to-end floor.
        until: judge only this part, by layer id or the start of one.
        on_layer: called with each layer's id before it is measured.
        crash: where and how the candidate's forward pass ended, if it raised: `actual` is then what ran before.
        memory: of what `expected` gave for `x` in other judgements; None to remember nothing.

    Returns:
        A settled report.

    Raises:
        InputError: nothing to compare, `until` names no layer, or the expected network is in training mode.
    """
    comparison = Comparison(
        expected, actual, x, dtypes=dtypes, seed=seed, until=until, on_layer=on_layer, crash=crash, memory=memory
    )
    return judge_in_step([comparison])[0]


def judge_in_step(comparisons: Sequence[Comparison]) -> list[Report]:
    """The reports of several candidates, each of which stays where the others are.

    So what the expected network gives is at hand for all of them while it is remembered for the first.
    """
    while places := [(one.place, i) for i, one in enumerate(comparisons) if one.place is not None]:
        comparisons[min(places)[1]].compare_next()
    return [one.report() for one in comparisons]
