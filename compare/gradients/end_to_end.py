"""The way back from one gradient at the end, through a candidate's own layers, beside the expected network's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerdiff.compare.gradients.chain import swept
from layerdiff.compare.gradients.floors import floors
from layerdiff.compare.gradients.walk import Walk, covector, is_stopped
from layerdiff.compare.metrics import measure
from layerdiff.compare.pairs import Pair
from layerdiff.compare.playback import play
from layerdiff.compare.result import Gradient
from layerdiff.compare.trace import INPUT, Op

__all__ = ["end_to_end"]


def end_to_end(walk: Walk, pairs: Sequence[Pair], ops: Sequence[Op]) -> dict[str, Gradient]:
    """What the candidate's own way there and back sends to each layer's output, beside the expected one."""
    partners = {pair.expected[-1].layer: pair.actual[-1].layer for pair in pairs if pair.actual}
    end = partners.get(walk.ops[-1].layer)
    place = {op.layer: number for number, op in enumerate(ops)}
    if end is None or end not in place:
        return {}
    ops = ops[: place[end] + 1]
    x = walk.values[INPUT]
    try:
        played, _ = play(ops, {INPUT: x})
        values = {INPUT: x, **{one.op.layer: one.output for one in played}}
        gradients, _ = swept(ops, values, covector(walk.values[walk.ops[-1].layer], walk.seed, "output"))
    except Exception:
        # Why, is said of the layer that cannot do it by itself.
        return {}
    limits = floors(walk.ops, walk.values, walk.gradients, seed=walk.seed)
    found = {}
    for layer, partner in partners.items():
        want = walk.gradients.get(layer)
        # What no gradient flows to has none: zero, by torch's own reckoning.
        got = gradients.get(partner, None if want is None else np.zeros_like(want))
        if want is not None and got is not None and got.shape == want.shape and got.dtype == want.dtype:
            one = measure("propagated", want, got, limits[layer])
            if one.over and is_stopped(walk, layer, want, got, np.asarray(limits[layer])):
                one = measure("propagated", want, want, limits[layer])
            found[layer] = Gradient("output", one)
    return found
