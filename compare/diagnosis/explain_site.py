"""Why one pair is wrong: hypotheses tried one by one, and where no single one explains it, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from layerdiff.compare.diagnosis.undo import Undone, as_one, sampled, undone, undone_as, varied
from layerdiff.compare.diagnosis.walk import Stop
from layerdiff.compare.hypotheses.every import hypotheses
from layerdiff.compare.hypotheses.hypothesis import Hypothesis
from layerdiff.compare.hypotheses.trial import tried
from layerdiff.compare.kinds import MOVING
from layerdiff.compare.trace import Op

__all__ = ["Cause", "Search", "explain"]

_DEEPEST = 3


@dataclass(frozen=True)
class Cause:
    """A hypothesis that was confirmed.

    Attributes:
        hypothesis: which.
        undone: the candidate without it.
        equally: other hypotheses that explain just the same.
    """

    hypothesis: Hypothesis
    undone: Undone
    equally: tuple[Hypothesis, ...] = ()


@dataclass(frozen=True)
class Search:
    """What the search for the cause of one pair came to.

    Attributes:
        causes: one, or several that together explain it; empty where nothing does.
        repaired: what stands in the candidate's place with all of them undone; empty where nothing explains it.
        nearest: the hypotheses that came nearest, the best first.
    """

    causes: tuple[Cause, ...] = ()
    repaired: tuple[Op, ...] = ()
    nearest: tuple[Hypothesis, ...] = ()


def explain(stop: Stop, tell: Callable[[str], None], depth: int = _DEEPEST) -> Search:
    """The causes of what a site shows.

    Args:
        stop: with its site.
        tell: called with what is being tried, in words.
        depth: how many mistakes in one operation are looked for.
    """
    site = stop.site
    if site is None:
        return Search()
    if stop.failure:
        return _by_settings(stop)
    if stop.cast:
        return _cast(stop)
    found: list[tuple[Hypothesis, Undone]] = []
    missed: list[Hypothesis] = []
    rearranged = _rearranged(stop)
    if rearranged is not None:
        return rearranged
    for hypothesis in hypotheses(site):
        tell(f"{site.layer}: {hypothesis.title}")
        one = tried(hypothesis, site) if hypothesis.model else hypothesis
        # What a model does not explain may still be one mistake of several.
        result = None if one.residual is not None and one.residual > 1 else undone(one, stop)
        if result is None:
            missed.append(one)
            continue
        found.append((one, result))
        if one.rank == 0 and result.own:
            # Its own code says so, and is right with that one thing changed: nothing else can be meant.
            break
    nearest = tuple(sorted((one for one in missed if one.residual is not None), key=_distance))
    if found:
        found.sort(key=lambda entry: entry[0].rank)
        best, result = found[0]
        # Of what explains it, the simplest is named; only what is as simple explains it just as well.
        others = {(one.code, one.title): one for one, _ in found[1:] if one.code != best.code and one.rank == best.rank}
        return Search((Cause(best, result, tuple(others.values())),), result.ops, nearest)
    for one in missed if depth > 1 else ():
        combined = _then(one, stop, tell, depth)
        if combined is not None:
            return replace(combined, nearest=nearest)
    return Search(nearest=nearest)


def _rearranged(stop: Stop) -> Search | None:
    """The search where a layer is right once its numbers are not moved about before or behind it."""
    ops = stop.pair.actual
    moving = [op for op in ops if op.kind in MOVING and op.kind != "pad" and len(op.inputs) == 1]
    rest = [op for op in ops if op not in moving]
    if not moving or not any(op.kind == stop.pair.expected[-1].kind for op in rest):
        return None
    sources = {op.layer: op.inputs[0] for op in moving}
    bare = []
    for op in rest:
        inputs = op.inputs
        while any(name in sources for name in inputs):
            inputs = tuple(sources.get(name, name) for name in inputs)
        bare.append(replace(op, inputs=inputs))
    words = " and ".join(dict.fromkeys(op.kind for op in moving))
    one = Hypothesis(
        "F3",
        f"{words} {'moves' if len(moving) == 1 else 'move'} the numbers about",
        "permute axes with permute; view and reshape only read the numbers in another shape",
        evidence=tuple(f"{op.layer} ({op.kind})" for op in moving),
    )
    result = undone_as(as_one(bare, ops[-1]), f"run again without {words}", stop)
    return None if result is None else Search((Cause(one, result),), result.ops)


def _by_settings(stop: Stop) -> Search:
    """The search where the candidate raises on the expected input: with its settings as expected it must be right."""
    site = stop.site
    tried_ = [one for one in hypotheses(site) if one.rank == 0 and one.attributes] if site is not None else []
    for one in tried_:
        result = undone(one, stop)
        if result is not None and result.own:
            cause = replace(one, evidence=(*one.evidence, f"it raises {stop.failure}"))
            return Search((Cause(cause, result),), result.ops)
    return Search(nearest=tuple(tried_))


def _cast(stop: Stop) -> Search:
    """The search where the output comes in another precision: made in that of the input, it must be right."""
    site = stop.site
    assert site is not None, "a precision is another than that of a site"
    have, want = stop.cast, site.real.want.dtype
    back = Op(
        layer=f"{stop.pair.actual[-1].layer}.astype",
        path="astype",
        kind="to",
        inputs=(stop.pair.actual[-1].layer,),
        attributes={},
        parameters={},
        shape=(),
        dtype=want.name,
        run=lambda x: x.astype(want),
    )
    one = Hypothesis(
        "H3",
        f"it gives {have} for inputs of {want}",
        f"keep every number that takes part in {want}: NumPy's and Python's own are {have}",
        after=(back,),
        rank=0,
    )
    result = undone(one, stop)
    return Search(nearest=(one,)) if result is None else Search((Cause(one, result),), result.ops)


def _then(first: Hypothesis, stop: Stop, tell: Callable[[str], None], depth: int) -> Search | None:
    """The search with one mistake undone that the candidate's own code, or its parameters, say it makes."""
    site = stop.site
    if first.rank > 0 or site is None:
        return None
    op = varied(first, stop)
    rest = None if op is None else sampled(op, stop, site)
    if op is None or rest is None:
        return None
    search = explain(replace(stop, site=rest, pair=replace(stop.pair, actual=(op,))), tell, depth - 1)
    if not search.causes or not search.repaired:
        return None
    last = search.causes[-1].undone
    how = Undone(search.repaired, f"{last.how}, the other one undone too", last.ratio)
    return replace(search, causes=(Cause(first, how), *(replace(cause, undone=how) for cause in search.causes)))


def _distance(hypothesis: Hypothesis) -> float:
    return hypothesis.residual if hypothesis.residual is not None else float("inf")
