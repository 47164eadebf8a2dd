"""Alignment: which operations of the candidate stand for which ones of the expected network.

Both networks are put into an order that follows the data flow alone, and the two orders are aligned like two texts, by
how much one operation looks like the other. What is then left over is looked at again: a padding of its own belongs to
the convolution behind it, `mean` is pooling and flatten in one, a batch norm written out in arithmetic is a batch norm.
All of this is only a proposal. The wiring of what was paired is compared here, and what each pair computes is compared
by the judge; a wrong proposal makes a difference, never an agreement.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from layerdiff.compare.drafts import Group
from layerdiff.compare.graph import Graph
from layerdiff.compare.grouping import grouped
from layerdiff.compare.names import plain_name
from layerdiff.compare.pairs import Alignment, Confidence, Pair, outside_inputs
from layerdiff.compare.resemblance import gap_costs, resemblance, same_parameters
from layerdiff.compare.trace import INPUT, Array, Op, Trace, upto
from layerdiff.compare.written_down import rounded_root

__all__ = ["align", "aligned"]


def align(
    expected: Sequence[Op],
    actual: Sequence[Op],
    *,
    expected_output: str | None = None,
    actual_output: str | None = None,
    partial: bool = False,
) -> Alignment:
    """Pair the operations of two networks, whatever they are called and in whatever order they run.

    Args:
        expected: in an order in which they can run.
        actual: likewise.
        expected_output: id of the operation whose output the expected network returns, where that is known.
        actual_output: the same for the candidate; operations it does not depend on have no partner.
        partial: `expected` is the first part of a network, and the candidate may go on after it.
    """
    here, there = Graph(expected, expected_output), Graph(actual, actual_output)
    unused = there.unused()
    ours, theirs = here.ordered(without=here.unused()), there.ordered(without=unused)
    groups, extra = grouped(_steps(ours, theirs), here, there)
    if partial:
        extra = _before_the_end(extra, groups, there)
    paired = {op.layer for group in groups for op in group.actual}
    judge = _Wiring(here, there, groups, {op.layer for op in actual} - paired)
    pairs = [judge.pair(group) for group in groups]
    pairs += [Pair((op,), (), reason="its result is never used") for op in expected if op.layer in here.unused()]
    place = {op.layer: i for i, op in enumerate(expected)}
    pairs.sort(key=lambda pair: max(place[op.layer] for op in pair.expected))
    return Alignment(tuple(pairs), tuple(op for op in actual if op.layer in {other.layer for other in extra}))


def aligned(expected: Trace, actual: Trace, until: str | None) -> Alignment:
    """`align` for two traces, as the judge looks at them.

    Args:
        expected: the reference.
        actual: the candidate.
        until: the part of the expected network that counts; None for all of it.
    """
    return align(
        upto(expected.ops, until),
        actual.ops,
        expected_output=expected.returned_by if until is None else None,
        actual_output=actual.returned_by,
        partial=until is not None,
    )


Steps = list[tuple[Op | None, Op | None]]


def _steps(ours: Sequence[Op], theirs: Sequence[Op]) -> Steps:
    """The best alignment of two sequences: pairs, and on either side operations alone.

    Source: Needleman & Wunsch 1970, with a cost for a gap that depends on what is left out.
    """
    if not ours or not theirs:
        return [(op, None) for op in ours] + [(None, op) for op in theirs]
    score = resemblance(ours, theirs)
    down, right = gap_costs(ours), gap_costs(theirs)
    best = _table(score, down, right)
    steps: Steps = []
    i, j = len(ours), len(theirs)
    while i or j:
        # Of equals the one whose pairs come first: a candidate that raised got no further.
        if i and _is(best[i, j], best[i - 1, j] - down[i - 1]):
            i -= 1
            steps.append((ours[i], None))
        elif i and j and _is(best[i, j], best[i - 1, j - 1] + score[i - 1, j - 1]):
            i, j = i - 1, j - 1
            steps.append((ours[i], theirs[j]))
        else:
            j -= 1
            steps.append((None, theirs[j]))
    return steps[::-1]


def _table(score: Array, down: Array, right: Array) -> Array:
    n, m = score.shape
    best = np.zeros((n + 1, m + 1))
    best[1:, 0] = -np.cumsum(down)
    best[0, 1:] = -np.cumsum(right)
    offsets = np.concatenate([[0.0], np.cumsum(right)])
    for i in range(1, n + 1):
        row = best[i]
        row[1:] = np.maximum(best[i - 1, :-1] + score[i - 1], best[i - 1, 1:] - down[i - 1])
        # row[j] = max over k <= j of row[k] minus the gaps between: a running maximum once the gaps are added back.
        np.maximum.accumulate(row + offsets, out=row)
        row -= offsets
    return best


def _is(value: float, other: float) -> bool:
    return abs(value - other) < 1e-6


def _before_the_end(extra: Sequence[Op], groups: Sequence[Group], there: Graph) -> list[Op]:
    """Those of `extra` on which something that is paired depends; the rest runs after what was asked for."""
    needed, waiting = set(), [op.layer for group in groups for op in group.actual]
    while waiting:
        layer = waiting.pop()
        if layer not in needed and layer in there.ops:
            needed.add(layer)
            waiting.extend(there.ops[layer].inputs)
    return [op for op in extra if op.layer in needed]


class _Wiring:
    """Compares where paired operations take their inputs from."""

    def __init__(self, here: Graph, there: Graph, groups: Sequence[Group], extra: Set[str]) -> None:
        self._here, self._there, self._extra = here, there, extra
        self._missing = {op.layer for group in groups if not group.actual for op in group.expected}
        # A group's last operations stand for each other; what lies inside it is nobody else's business.
        self._partner = {INPUT: INPUT} | {
            group.actual[-1].layer: group.expected[-1].layer for group in groups if group.actual
        }

    def pair(self, group: Group) -> Pair:
        if not group.actual:
            return Pair(group.expected, (), reason="the candidate has nothing in its place")
        wanted, given = outside_inputs(group.expected), outside_inputs(group.actual)
        want = self._here.sources(wanted, through=self._missing)
        have = [self._translated(sources) for sources in self._there.sources(given, through=self._extra)]
        feeds, at_fault = _matched(wanted, want, have)
        problems = self._problems(group, want, have, at_fault)
        reason, confidence = _why(group)
        folded = "its weights hold a batch norm's, folded in float32" if _is_folded(group) else ""
        rounded = folded or rounded_root(group)
        behind = self._there.passed(given, through=self._extra)
        return Pair(group.expected, group.actual, feeds, problems, reason, confidence, rounded, behind)

    def _translated(self, sources: frozenset[str]) -> frozenset[str]:
        return frozenset(self._partner.get(layer, f"{layer} of the candidate") for layer in sources)

    def _problems(
        self, group: Group, want: Sequence[frozenset[str]], have: Sequence[frozenset[str]], at_fault: bool
    ) -> tuple[str, ...]:
        problems = []
        if len(group.expected) == 1 and len(group.actual) == 1:
            (op,), (other,) = group.expected, group.actual
            if op.kind != other.kind and (not _says_nothing(op, other) or other.attributes.get("max") is not None):
                problems.append(f"kind: got {other.kind}, expected {op.kind}")
            if len(op.inputs) != len(other.inputs):
                problems.append(f"inputs: got {len(other.inputs)}, expected {len(op.inputs)}")
                return tuple(problems)
            at_fault = at_fault or not self._same_slots(op, other)
        if at_fault:
            got, wish = (" and ".join(sorted(frozenset().union(*sets))) for sets in (have, want))
            problems.append(f"wiring: takes {got}, expected {wish}")
        return tuple(problems)

    def _same_slots(self, op: Op, other: Op) -> bool:
        """Whether every single input comes from where it should; a sum does not mind the order of its terms."""
        want = self._here.sources(op.inputs, through=self._missing)
        have = [self._translated(sources) for sources in self._there.sources(other.inputs, through=self._extra)]
        straight = all(a & b for a, b in zip(have, want, strict=True))
        return straight or (op.kind == "add" and all(a & b for a, b in zip(have[::-1], want, strict=True)))


def _matched(
    wanted: Sequence[str], want: Sequence[frozenset[str]], have: Sequence[frozenset[str]]
) -> tuple[tuple[str, ...], bool]:
    """For each of the candidate's inputs the expected one it stands for; and whether any had to be guessed."""
    left = list(range(len(wanted)))
    feeds: list[str | None] = []
    for sources in have:
        found = next((i for i in left if want[i] & sources), None)
        if found is not None:
            left.remove(found)
        feeds.append(None if found is None else wanted[found])
    wrong = None in feeds or bool(left)
    rest = [wanted[i] for i in left]
    filled = [feed if feed is not None else (rest.pop(0) if rest else wanted[-1]) for feed in feeds]
    return tuple(filled), wrong


def _is_folded(group: Group) -> bool:
    kinds = [op.kind for op in group.expected]
    return kinds == ["conv2d", "batch_norm"] and all(op.kind != "batch_norm" for op in group.actual)


def _says_nothing(op: Op, other: Op) -> bool:
    """Whether two kinds differ in name only: somebody's own class, or another way to move the same numbers."""
    moves = {"flatten", "view", "reshape", "squeeze", "getitem"}
    limits = {"relu", "clamp", "clamp_min", "maximum"}
    pools = {"adaptive_avg_pool2d", "mean", "avg_pool2d"}
    own = other.kind not in _NAMES or op.kind not in _NAMES
    return own or {op.kind, other.kind} <= limits or {op.kind, other.kind} <= moves or {op.kind, other.kind} <= pools


_NAMES = frozenset({"conv2d", "batch_norm", "relu", "max_pool2d", "linear", "add", "flatten", "view", "reshape",
                    "squeeze", "getitem", "adaptive_avg_pool2d", "mean", "avg_pool2d", "leaky_relu", "relu6", "gelu",
                    "silu", "elu", "hardtanh", "clamp", "clamp_min", "maximum", "adaptive_max_pool2d", "dropout",
                    "identity", "cat", "sub", "mul"})  # fmt: skip


def _why(group: Group) -> tuple[str, Confidence]:
    op, other = group.expected[-1], group.actual[-1]
    if op.path == other.path:
        return "the same id", "certain"
    if any(same_parameters(a, b) for a in group.expected for b in group.actual):
        return "the same parameters", "certain"
    if plain_name(op.path) == plain_name(other.path):
        return "its name, translated", "likely"
    if len(group.expected) > 1 or len(group.actual) > 1:
        return "the same place in the data flow, written otherwise", "likely"
    if op.kind == other.kind or (_says_nothing(op, other) and op.shape == other.shape):
        return "kind and place in the data flow", "likely"
    return "place in the data flow", "weak"
