"""The diagnosis: look at the candidate, name a cause, undo it, and look again, until it is right or nothing helps."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from layerdiff.compare.catalogue import CAUSES
from layerdiff.compare.diagnosis.anomalies import Difference
from layerdiff.compare.diagnosis.context import in_context
from layerdiff.compare.diagnosis.explain_site import Cause, Search
from layerdiff.compare.diagnosis.merge import merged, settled
from layerdiff.compare.diagnosis.patterns import differences
from layerdiff.compare.diagnosis.rewire import mended_output, repair
from layerdiff.compare.diagnosis.surgery import edited, exchanged, returning
from layerdiff.compare.diagnosis.survey import Asked, Seen, Survey, survey
from layerdiff.compare.diagnosis.tries import distinct, graph_tries, value_tries
from layerdiff.compare.diagnosis.walk import parameters_of
from layerdiff.compare.evidence.records import Tried
from layerdiff.compare.finding import UNEXPLAINED, Finding
from layerdiff.compare.judge import DTYPES, Dtype, judge
from layerdiff.compare.memory import Memory
from layerdiff.compare.result import NOT_REACHED, Report
from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.trace import Array, Trace

__all__ = ["diagnosed"]

_ROUNDS = 6


def diagnosed(
    report: Report,
    expected: Trace,
    actual: Trace,
    x: Array,
    *,
    seed: int = 0,
    unused: Set[str] = frozenset(),
    dtypes: Sequence[Dtype] = DTYPES,
    tell: Callable[[str], None] | None = None,
    memory: Memory | None = None,
) -> Report:
    """The report with the causes of what is different.

    Args:
        report: of the judge, settled.
        expected: the reference, captured on `x`.
        actual: the candidate, captured on `x`, with the weights it was judged with.
        x: (n, c, h, w) float32.
        seed: as the judge had it.
        unused: names of the tensors that the candidate holds and never uses.
        dtypes: precisions in which the repaired candidate is judged.
        tell: called with what is being done, in words.
        memory: of what `expected` gave for `x`; None to remember nothing.

    Returns:
        As it was, where it does not say `different`.
    """
    if report.verdict != "different" or not actual.ops:
        return report
    at_fault = {layer.layer for layer in report.layers if layer.status == "fault"}
    reached = None
    if report.crash is not None:
        reached = {layer.layer for layer in report.layers if layer.reason != NOT_REACHED}
    say = tell or (lambda what: None)
    last = actual.ops[-1].layer if report.crash is not None else None
    asked = Asked(expected, x, seed, report.until, reached, parameters_of(expected), at_fault, last, say, memory)
    work = _Work(asked, unused, actual, report.explanation is not None and bool(report.explanation.code))
    work.run()
    if report.explanation is not None:
        ids = {layer.partner: layer.layer for layer in report.layers if layer.partner}
        work.findings += _of_explanation(report.explanation, ids)
    again = ""
    if any(one.confirmed for one in work.findings) and report.crash is None:
        say("the candidate with all of that undone")
        again = _again(work.trace, asked, dtypes)
    findings = merged(_with_lines(settled(work.findings)))
    return replace(report, findings=findings, repaired=again, tried=distinct(work.tried))


@dataclass
class _Work:
    """A diagnosis under way: the candidate as it is by now, and what was found.

    Attributes:
        asked: what stays the same.
        unused: names of the tensors that the candidate holds and never uses.
        trace: the candidate, with what was found undone.
        explained: whether it is known already why it raises.
        findings: so far.
        known: what was seen of pairs that have not changed since.
        given_up: differences that could not be undone.
        tried: what was tried so far, whether it helped or not.
    """

    asked: Asked
    unused: Set[str]
    trace: Trace
    explained: bool
    findings: list[Finding] = field(default_factory=list)
    known: dict[str, Seen] = field(default_factory=dict)
    given_up: set[tuple[str, ...]] = field(default_factory=set)
    tried: list[Tried] = field(default_factory=list)

    def run(self) -> None:
        """Name and undo one cause after the other."""
        for dtype in ("float64", "float32"):
            self.known = {}
            for _ in range(_ROUNDS):
                self.asked.tell("looking at every layer")
                seen = survey(self.trace, self.asked, dtype=dtype, known=self.known)
                self.tried += value_tries(seen)
                if _is_another(seen):
                    self._leave(replace(seen, seen={}))
                    return
                if not self._graph(seen, dtype) and not self._values(seen):
                    break
        self._leave(seen)

    # The graph

    def _graph(self, seen: Survey, dtype: str) -> bool:
        """Undo what the graph differs in; whether anything changed."""
        named = [
            one
            for one in differences(seen.anomalies, self.unused)
            if one.code != UNEXPLAINED and _key(one) not in self.given_up
        ]
        if not named:
            return False
        for tries in ([named], [[one] for one in named] if len(named) > 1 else []):
            for group in tries:
                if self._graph_tried(group, seen, dtype):
                    return True
        self.given_up.update(_key(one) for one in named)
        return False

    def _graph_tried(self, named: list[Difference], seen: Survey, dtype: str) -> bool:
        for one in named:
            self.asked.tell(one.title)
        edit = repair(named, seen.anomalies)
        output = mended_output(self.asked.expected, named, seen.anomalies)
        trace = edited(self.trace, edit, self.asked.x, returned_by=output)
        after = None if trace is None else survey(trace, self.asked, dtype=dtype, known={})
        helps = after is not None and all(_mended(one, after) for one in named) and _amount(after) < _amount(seen)
        self.tried += graph_tries(named, after, confirmed=helps)
        if trace is None or after is None or not helps:
            return False
        self.trace, self.known = trace, dict(after.seen)
        self.findings += [_of_difference(one, after) for one in named]
        return True

    # The values

    def _values(self, seen: Survey) -> bool:
        """Undo what single operations compute otherwise; whether anything changed."""
        changed = False
        for layer, one in seen.seen.items():
            search = one.search
            if search is None or not search.repaired or not one.wrong:
                continue
            self.findings += [in_context(_of_cause(cause, one), one.pair, seen.trace) for cause in search.causes]
            actual = one.pair.actual
            self.trace = exchanged(self.trace, {actual[-1].layer: search.repaired}, {op.layer for op in actual[:-1]})
            self.known.pop(layer, None)
            changed = True
        if changed:
            # What could not be undone while something else was wrong there may be undone now.
            self.given_up.clear()
            self.trace = returning(self.trace, self.trace.returned_by, self.asked.x) or self.trace
        return changed

    # What is left

    def _leave(self, seen: Survey) -> None:
        """Name the places where nothing explains what is wrong."""
        for layer, one in seen.seen.items():
            if one.wrong and not (self.explained and one.failure):
                self.findings.append(_unexplained(layer, one))
        for difference in differences(seen.anomalies, self.unused):
            found = _of_difference(difference, None)
            title = difference.title if difference.code == UNEXPLAINED else f"not proven: {difference.title}"
            self.findings.append(replace(found, code=UNEXPLAINED, title=title))


def _is_another(seen: Survey) -> bool:
    """Whether it is another network, of which single differences say nothing."""
    return [one.code for one in differences(seen.anomalies, frozenset())] == [UNEXPLAINED]


def _key(one: Difference) -> tuple[str, ...]:
    return (one.code, *one.about, *(op.layer for op in one.extra))


def _amount(seen: Survey) -> int:
    found = seen.anomalies
    return len(found.missing) + len(found.extra) + len(found.rewired)


def _mended(one: Difference, after: Survey) -> bool:
    """Whether the layers that a difference is about are there now, take what they should, and are right."""
    missing = {op.layer for op in after.anomalies.missing}
    rewired = {pair.expected[-1].layer for pair in after.anomalies.rewired}
    about = {op.layer for op in one.missing} | {pair.expected[-1].layer for pair in one.pairs}
    if about & (missing | rewired) or {op.layer for op in one.extra} & {op.layer for op in after.anomalies.extra}:
        return False
    looked = [after.seen[layer] for layer in about if layer in after.seen]
    return all(not seen.wrong and not seen.failure for seen in looked)


def _of_difference(one: Difference, after: Survey | None) -> Finding:
    ratios = [] if after is None else [after.seen[layer].ratio for layer in one.about if layer in after.seen]
    partners = (*(op.layer for op in one.extra), *(op.layer for pair in one.pairs for op in pair.actual))
    return Finding(
        code=one.code,
        title=one.title,
        layers=one.about,
        change=one.change,
        evidence=one.evidence,
        partners=tuple(dict.fromkeys(partners)),
        source=one.source,
        confirmed=after is not None,
        how="run again with its operations connected as the reference's" if after else "",
        after=max((ratio for ratio in ratios if ratio is not None), default=0.0) if after else None,
    )


def _of_cause(cause: Cause, seen: Seen) -> Finding:
    one, pair = cause.hypothesis, seen.pair
    return Finding(
        code=one.code,
        title=one.title,
        layers=tuple(op.layer for op in pair.expected),
        change=one.change,
        evidence=one.evidence,
        partners=tuple(op.layer for op in pair.actual),
        source=next((op.source for op in reversed(pair.actual) if op.source), None),
        confirmed=True,
        how=cause.undone.how,
        after=cause.undone.ratio,
        equally=tuple(f"{other.code}: {other.title}" for other in cause.equally),
    )


def _unexplained(layer: str, seen: Seen) -> Finding:
    search = seen.search or Search()
    nearest = [
        f"nearest: {one.code} {one.title}: off by {one.residual:.1e} of its allowance"
        for one in search.nearest[:2]
        if one.residual is not None
    ]
    return Finding(
        code=UNEXPLAINED,
        title=f"unexplained at {layer}",
        layers=tuple(op.layer for op in seen.pair.expected),
        change="compare the code of this layer with the reference's, by hand",
        evidence=(*((f"it raises {seen.failure}",) if seen.failure else ()), *nearest),
        partners=tuple(op.layer for op in seen.pair.actual),
        source=next((op.source for op in seen.pair.actual if op.source), None),
    )


def _of_explanation(one: Explanation, ids: Mapping[str, str]) -> list[Finding]:
    """What is known of a crash: read off the shapes, and not proven by a run without it.

    Args:
        one: the explanation.
        ids: expected layer by the id of the candidate's operation that stands for it.
    """
    found = [] if one.cause is None else _of_explanation(one.cause, ids)
    if not one.code:
        return found
    evidence = (*((one.arithmetic,) if one.arithmetic else ()), *one.evidence)
    layers = (ids.get(one.layer, one.layer),)
    return [*found, Finding(one.code, one.title, layers, one.change, evidence, (one.layer,), one.source)]


def _again(trace: Trace, asked: Asked, dtypes: Sequence[Dtype]) -> str:
    """What the judge says of the candidate with everything undone."""
    report = judge(
        asked.expected, trace, asked.x, dtypes=dtypes, seed=asked.seed, until=asked.until, memory=asked.memory
    )
    if report.verdict == "same":
        ratios = [m.ratio for layer in report.layers for m in layer.measures if m.probe == "activations"]
        worst = max((ratio for ratio in ratios if ratio is not None), default=0.0)
        return f"every layer agrees, to {'the bit' if worst == 0 else f'at most {worst:.2f} of its allowance'}"
    left = [layer.layer for layer in report.layers if layer.status in {"fault", "missing"}]
    extra = [op.layer for op in report.extra]
    return f"{report.verdict}: " + (", ".join((*left, *extra)[:6]) or report.output)


def _with_lines(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with the line of code each names, as far as it can be read, and whether it is a convention."""
    found = []
    for one in findings:
        path, _, line = (one.source or "").rpartition(":")
        text = linecache.getline(path, int(line)).strip() if path and line.isdigit() else ""
        convention = one.code in CAUSES and CAUSES[one.code].convention
        found.append(replace(one, text=text, convention=convention))
    return found
