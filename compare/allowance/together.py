"""The allowance of several operations that are judged as one.

Let y = g(f(x)), and let two right implementations of f lie up to a apart. Then those of g(f(x)) lie apart by what g
itself allows, b, and by what becomes of a on its way through g:

    |g₁(y₁) - g₂(y₂)|  <=  |g₁(y₁) - g₂(y₁)| + |g₂(y₁) - g₂(y₂)|  <=  b + G(a)

with G the bound on how far g's outputs move when its inputs move by a, element by element:

    batch_norm          slope γ/√(v+ε) for each channel                      |γ|/√(v+ε) · a
    relu, clamp, ...    slopes of at most 1                                  a
    max_pool2d          a maximum moves no further than what it chooses from  the maximum of a over the window
    averages            weights that are not negative and the same for a     the average of a over the window
    movements           every output is one of the inputs                    a, moved likewise
    add, sub            both terms move                                      the sum of what each moves by
    tanh, GELU, ...     slopes of at most L, see `smooth`                     L · a
    softmax             slopes p_i·(1 - p_i) and -p_i·p_j                    p_i · (a_i + Σ p_j·a_j)
    its logarithm       slopes 1 - p_i and -p_j                              a_i + Σ p_j·a_j

For the maxima, averages and movements G is g itself: it is run on a. b is taken at the expected network's own values,
which differ from the candidate's by a: a relative difference of u, of second order. Through anything else (another
convolution, a linear layer) nothing is said: the parts are then not judged as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from layerdiff.compare.allowance.batch_norm import stretch
from layerdiff.compare.allowance.rule import Array, Call, Rule
from layerdiff.compare.allowance.smooth import SMOOTH, steepest_slope
from layerdiff.compare.allowance.softmax import shares_moved
from layerdiff.compare.playback import Played, run

__all__ = ["allowance_together", "is_known_together"]

Carrier = Callable[[Played, Sequence[Array]], Array]


def allowance_together(played: Sequence[Played], rules: Mapping[str, Rule]) -> Array | None:
    """What the last of some operations is allowed where all of them are judged as one.

    Args:
        played: in the order they ran; each but the last is read by a later one.
        rules: the rule of each kind.

    Returns:
        Broadcasts to the last output; None where something lacks a rule, or cannot carry what came before it.
    """
    if not is_known_together(played, rules):
        return None
    allowed: dict[str, Array] = {}
    for one in played:
        own = rules[one.op.kind].allowed(_call(one))
        if any(layer in allowed for layer in one.op.inputs):
            before = [
                np.broadcast_to(allowed[layer] if layer in allowed else np.float64(0), array.shape)
                for layer, array in zip(one.op.inputs, one.inputs, strict=True)
            ]
            own = own + _CARRIERS[one.op.kind](one, before)
        allowed[one.op.layer] = own
    return allowed[played[-1].op.layer]


def is_known_together(played: Sequence[Played], rules: Mapping[str, Rule]) -> bool:
    """Whether `allowance_together` has an answer; looks at no value."""
    made: set[str] = set()
    for one in played:
        rule = rules.get(one.op.kind)
        if rule is None or not rule.applies(_call(one)):
            return False
        if not made.isdisjoint(one.op.inputs) and not _can_carry(one):
            return False
        made.add(one.op.layer)
    return True


def _can_carry(played: Played) -> bool:
    """Whether it is known how an operation passes on what its inputs are allowed."""
    op = played.op
    if op.kind not in _CARRIERS:
        return False
    if op.kind == "pad":
        # What it puts beside the numbers moves by nothing; run on the allowances it must put zeros there.
        return len(played.inputs) == 1 and op.attributes.get("value", 0) in {None, 0}
    if op.kind in {"add", "sub"}:
        # With a factor of its own (`alpha`) or numbers beside it, it is not seen as a plain sum.
        return len(played.inputs) == 2 and "alpha" not in op.attributes
    if op.kind == "leaky_relu":
        slope = op.attributes.get("negative_slope")
        return isinstance(slope, int | float) and abs(slope) <= 1
    if op.kind in SMOOTH:
        return len(played.inputs) == 1 and steepest_slope(op.kind, op.attributes) is not None
    if op.kind in {"softmax", "log_softmax"}:
        return len(played.inputs) == 1 and isinstance(op.attributes.get("dim"), int)
    return len(played.inputs) == 1


def _call(one: Played) -> Call:
    return Call(one.op.attributes, one.op.parameters, one.inputs, one.output)


def _itself(one: Played, before: Sequence[Array]) -> Array:
    return before[0]


def _run(one: Played, before: Sequence[Array]) -> Array:
    moved: Array = np.abs(run(one.op, [np.array(before[0], dtype=np.float64)]))
    return moved


def _multiplied(one: Played, before: Sequence[Array]) -> Array:
    """Each output moves by at most the sum of what its inputs move, times the weights' magnitudes."""
    moved: Array = before[0] @ np.abs(one.op.parameters["weight"].astype(np.float64)).T
    return moved


def _stretched(one: Played, before: Sequence[Array]) -> Array:
    return before[0] * stretch(_call(one))


def _steepened(one: Played, before: Sequence[Array]) -> Array:
    slope = steepest_slope(one.op.kind, one.op.attributes)
    assert slope is not None
    return before[0] * slope


def _shared(one: Played, before: Sequence[Array]) -> Array:
    return shares_moved(one.op.kind, one.op.attributes, one.output, before[0])


def _added(one: Played, before: Sequence[Array]) -> Array:
    return before[0] + before[1]


_CARRIERS: Mapping[str, Carrier] = MappingProxyType(
    {
        "batch_norm": _stretched,
        "linear": _multiplied,
        "add": _added,
        "sub": _added,
        "softmax": _shared,
        "log_softmax": _shared,
        **dict.fromkeys(SMOOTH, _steepened),
        **dict.fromkeys(("relu", "relu6", "hardtanh", "clamp", "leaky_relu"), _itself),
        **dict.fromkeys(("identity", "dropout", "contiguous", "clone", "detach"), _itself),
        **dict.fromkeys(("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "mean"), _run),
        **dict.fromkeys(("view", "reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose"), _run),
        **dict.fromkeys(("getitem", "pad"), _run),
    }
)
