"""The walk: every pair of two networks by itself, in one precision, and a site wherever the candidate is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from layerdiff.compare.bits import same_bits
from layerdiff.compare.expected import Expected, Part
from layerdiff.compare.hypotheses.site import Sample, Site
from layerdiff.compare.hypotheses.trial import distance
from layerdiff.compare.memory import Remembered
from layerdiff.compare.pairs import Alignment, Pair, outside_inputs
from layerdiff.compare.playback import play
from layerdiff.compare.probe import dense_inputs, dense_shapes
from layerdiff.compare.trace import Array, Op, Trace

__all__ = ["Stop", "parameters_of", "walk_pairs"]


@dataclass(frozen=True)
class Stop:
    """A pair of the walk.

    Attributes:
        pair: which.
        ratio: the greatest quotient of error and allowance on the network's activations; infinite where the candidate
            raises or gives another shape; None where it was not run.
        dense: the same on the dense probe; None where that was not asked for, or cannot be.
        site: what hypotheses may look at; None where the candidate is right, or was not run.
        allowed: of the expected operation, on each of the site's samples.
        failure: what the candidate raised; the site then has the expected output in the place of its own.
        cast: the precision in which the candidate gave its output, where that is not the one it was given; the site
            has it in the right one.
    """

    pair: Pair
    ratio: float | None
    dense: float | None = None
    site: Site | None = field(default=None, repr=False)
    allowed: tuple[Array, ...] = field(default=(), repr=False)
    failure: str = ""
    cast: str = ""


def walk_pairs(
    expected: Sequence[Op],
    alignment: Alignment,
    x: Array,
    *,
    seed: int,
    weights: Mapping[str, Mapping[str, Array]],
    suspects: Set[str],
    dtype: np.dtype[Any],
    memory: Remembered | None = None,
) -> Iterator[Stop]:
    """Each pair, in order, with the candidate's operations run on the expected network's values.

    Args:
        expected: the expected network's operations.
        alignment: of both.
        x: the input in its own precision.
        seed: of the dense probe.
        weights: the expected network's parameters, by layer and role.
        suspects: ids of expected layers to give the dense probe to, even where the activations show nothing.
        dtype: to compute in; a pair that cannot run in it is run in the input's own.
        memory: of what `expected` gave for `x` in it; None to remember nothing.
    """
    walk = Expected(expected, alignment.pairs, x.astype(dtype), seed, None, memory)
    own = x.dtype == dtype
    for pair in alignment.pairs:
        try:
            part = walk.advance()
        except Exception:
            if own:
                raise
            # The expected network cannot run in this precision from here on; the judge says so.
            return
        yield _stop(part, seed, weights, bool(suspects & {op.layer for op in pair.expected}), own)


def _stop(part: Part, seed: int, weights: Mapping[str, Mapping[str, Array]], suspect: bool, own: bool) -> Stop:
    pair = part.pair
    needed = outside_inputs(pair.actual)
    if not pair.actual or part.feeds is None or len(part.feeds) != len(needed) or not part.known:
        return Stop(pair, None)
    feeds, inputs = part.feeds, _inputs(part)
    if pair.float32_only and part.output.dtype == np.float64:
        return Stop(pair, None, failure=pair.float32_only)
    try:
        played, _ = play(pair.actual, dict(zip(needed, feeds, strict=True)))
    except Exception as error:
        nothing = Site(_as_one(pair), pair.actual, Sample(inputs, part.output, part.output), None, weights)
        line = (str(error).splitlines() or ["no message"])[0]
        return Stop(pair, math.inf, None, nothing, (_allowed(part),), failure=f"{type(error).__name__}: {line}")
    got = played[-1].output
    cast = ""
    if got.dtype != part.output.dtype:
        if not own or not np.issubdtype(got.dtype, np.floating):
            return Stop(pair, None, failure=f"it gives {got.dtype}")
        cast, got = got.dtype.name, got.astype(part.output.dtype)
    exact = same_bits(part.output, got)
    if exact and not suspect and not cast:
        return Stop(pair, 0.0)
    allowed = _allowed(part)
    ratio = 0.0 if exact else distance(part.output, got, allowed)
    if ratio <= 1 and not suspect and not cast:
        return Stop(pair, ratio)
    real = Sample(inputs, part.output, got)
    dense, bound = _dense(part, seed, needed)
    site = Site(_as_one(pair), pair.actual, real, dense, weights, pair.problems, pair.expected)
    if cast:
        return Stop(pair, math.inf, None, replace(site, dense=None), (allowed,), cast=cast)
    if dense is None or bound is None:
        return Stop(pair, ratio, None, site, (allowed,))
    return Stop(pair, ratio, distance(dense.want, dense.got, bound), site, (allowed, bound))


def _inputs(part: Part) -> tuple[Array, ...]:
    """What the last expected operation takes, if it is alone; else what all of them take from outside."""
    if len(part.played) == 1:
        return part.played[0].inputs
    found: dict[str, Array] = {}
    for one in part.played:
        found.update(zip(one.op.inputs, one.inputs, strict=True))
    return tuple(found[layer] for layer in outside_inputs(part.pair.expected))


def _as_one(pair: Pair) -> Op:
    """The expected operation; of several judged as one, the last with the inputs and the kinds of all."""
    last = pair.expected[-1]
    if len(pair.expected) == 1:
        return last
    return replace(last, inputs=outside_inputs(pair.expected), kind="+".join(op.kind for op in pair.expected))


def _dense(part: Part, seed: int, needed: Sequence[str]) -> tuple[Sample | None, Array | None]:
    pair = part.pair
    given = dense_inputs(part, dense_shapes(part, "real"), part.output.dtype, seed)
    try:
        with np.errstate(all="ignore"):
            played, _ = play(pair.actual, {a: given[b] for a, b in zip(needed, pair.feeds, strict=True)})
            expected, _ = play(pair.expected, given)
    except Exception:
        # Somebody's own code need not take what it never gets; the activations then speak alone.
        return None, None
    want, got = expected[-1].output, played[-1].output
    same = Part(pair, tuple(expected), None)
    if not same.known or got.dtype != want.dtype:
        return None, None
    return Sample(_inputs(same), want, got), _allowed(same)


def _allowed(part: Part) -> Array:
    allowance = part.allowance
    assert allowance is not None, "asked for only where `known` says that there is one"
    return allowance


def parameters_of(trace: Trace) -> dict[str, Mapping[str, Array]]:
    """All parameters of a network, by layer and role."""
    return {op.layer: op.parameters for op in trace.ops if op.parameters}
