"""The first cause: the earliest operation that gives another shape than expected, which is often before the crash."""

from __future__ import annotations

from collections.abc import Set
from itertools import takewhile

from layerdiff.compare.kinds import MOVING
from layerdiff.compare.pairs import Pair
from layerdiff.compare.shape_errors.batch import batch_squeezed, batch_swallowed
from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shape_errors.facts import Facts, Shape, lies_otherwise
from layerdiff.compare.shape_errors.windows import settings_that_differ, why_size
from layerdiff.compare.trace import Op

__all__ = ["first_cause", "setting"]


def first_cause(facts: Facts, within: Set[str] | None = None) -> Explanation | None:
    """Why the first paired operation whose output has another shape has it; None where all shapes agree.

    Args:
        facts: of both networks.
        within: ids of the candidate's operations that are looked at; all of them for None.
    """
    for pair in facts.alignment.pairs:
        if not pair.actual or (facts.crash is not None and facts.crash.layer in {op.layer for op in pair.actual}):
            continue
        if within is not None and pair.actual[-1].layer not in within:
            continue
        have, want = pair.actual[-1].shape, pair.expected[-1].shape
        if have != want and not lies_otherwise(have, want):
            return _of_pair(facts, pair)
    return None


def setting(value: object) -> str:
    """A setting as it is written in code: `2` for (2, 2)."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        return str(value[0])
    return str(value)


def _of_pair(facts: Facts, pair: Pair) -> Explanation:
    actual, expected = pair.actual[-1], pair.expected[-1]
    given = [facts.actual_shape(layer) for layer in pair.actual[0].inputs if _is_known(facts, layer)]
    wanted = [facts.expected_shape(layer) for layer in pair.expected[0].inputs]
    seen = (f"{actual.layer} gives {list(actual.shape)}, expected {list(expected.shape)}",)
    moving = next((op for op in pair.actual if op.kind in MOVING), None)
    if moving is not None:
        before = facts.actual_shape(moving.inputs[0])
        for pattern in (batch_squeezed, batch_swallowed):
            found = pattern(facts, moving, before)
            if found is not None:
                return found
    if sorted(given) != sorted(wanted):
        return _before(facts, pair, seen)
    if len(given) == 1 and len(given[0]) == 2 and actual.kind == expected.kind == "linear":
        have, want = actual.shape[-1], expected.shape[-1]
        return Explanation(
            code="",
            title=f"{actual.layer} gives {have} features, expected {want}: another number of classes",
            layer=actual.layer,
            arithmetic=f"{have} ≠ {want}",
            change=f"make {actual.layer} with out_features={want}, or take an expected network of {have} classes",
            evidence=seen,
            source=actual.source,
        )
    if len(pair.actual) == 1 and len(pair.expected) == 1 and len(given) == 1 and len(given[0]) == 4:
        found = _of_window(actual, expected, given[0]) or _of_channels(actual, expected, given[0])
        if found is not None:
            return found
    takes = " and ".join(str(list(shape)) for shape in given)
    return Explanation(
        code="",
        title=f"{actual.layer} gives another shape than {expected.layer}",
        layer=actual.layer,
        arithmetic=f"{list(actual.shape)} out of {takes}, expected {list(expected.shape)}",
        change=f"write {actual.layer} as the expected network's {_words(expected)}",
        evidence=seen,
        source=actual.source,
    )


def _of_window(actual: Op, expected: Op, shape: Shape) -> Explanation | None:
    sums = why_size(actual, expected, (shape[2], shape[3]))
    if not sums:
        return None
    differ = settings_that_differ(actual, expected)
    lost = [f"{name}={setting(want)} is lacking" for name, have, want in differ if _is_default(name, have)]
    other = [f"{name}={setting(have)}" for name, have, want in differ if not _is_default(name, have)]
    misplaced = _misplaced(differ)
    evidence = tuple(f"{name}: got {setting(have)}, expected {setting(want)}" for name, have, want in differ)
    wish = ", ".join(f"{name}={setting(want)}" for name, _, want in differ)
    return Explanation(
        code="",
        title=misplaced or f"{actual.layer}: " + " and ".join([*(f"{text} is wrong" for text in other), *lost]),
        layer=actual.layer,
        arithmetic=sums,
        change=f"give {actual.layer} {wish}",
        evidence=evidence,
        source=actual.source,
    )


def _is_default(name: str, value: object) -> bool:
    """Whether it is what a window has of a setting that was not given."""
    return setting(value) == {"padding": "0", "stride": "1", "dilation": "1"}.get(name)


def _misplaced(differ: list[tuple[str, object, object]]) -> str:
    wanted = {name: setting(want) for name, _, want in differ}
    if wanted.get("stride") in {None, "1"}:
        return ""
    place = next((name for name, have, _ in differ if name != "stride" and setting(have) == wanted["stride"]), None)
    return f"the stride {wanted['stride']} stands in the place of the {place}" if place else ""


def _of_channels(actual: Op, expected: Op, shape: Shape) -> Explanation | None:
    if len(actual.shape) != 4 or len(expected.shape) != 4 or actual.shape[2:] != expected.shape[2:]:
        return None
    have, want = actual.shape[1], expected.shape[1]
    return Explanation(
        code="",
        title=f"{actual.layer} gives {have} channels, expected {want}",
        layer=actual.layer,
        arithmetic=f"{have} ≠ {want}" + (f" = {have}·{want // have}" if want % have == 0 else ""),
        change=f"give {actual.layer} {want} output channels",
        evidence=(f"{actual.layer} gives {list(actual.shape)} out of {list(shape)}, expected {list(expected.shape)}",),
        source=actual.source,
    )


def _before(facts: Facts, pair: Pair, seen: tuple[str, ...]) -> Explanation:
    """The operation takes another shape already, though nothing before it that has a partner gives another one."""
    actual, expected = pair.actual[-1], pair.expected[-1]
    for layer in pair.expected[0].inputs:
        missing = list(takewhile(lambda op: facts.is_missing(op.layer), facts.back_expected(layer)))
        shaping = [op for op in missing if facts.expected_shape(op.inputs[0]) != op.shape]
        if shaping:
            first, last = shaping[-1], shaping[0]
            names = f"{first.layer} is" if first is last else f"{first.layer} to {last.layer} are"
            before = list(facts.expected_shape(first.inputs[0]))
            return Explanation(
                code="",
                title=f"{names} missing",
                layer=actual.layer,
                arithmetic=f"the expected network's {_words(first)} makes {list(first.shape)} of {before}",
                change=f"put {_words(first)} " + (f"before {actual.layer}" if first is last else "and the rest there"),
                evidence=seen,
                source=actual.source,
            )
    extra = {op.layer for op in facts.alignment.extra}
    for layer in pair.actual[0].inputs:
        for op in facts.back(layer):
            if op.layer not in extra:
                break
            if op.inputs and _is_known(facts, op.inputs[0]) and facts.actual_shape(op.inputs[0]) != op.shape:
                before = list(facts.actual_shape(op.inputs[0]))
                return Explanation(
                    code="",
                    title=f"{op.layer} is too many",
                    layer=op.layer,
                    arithmetic=f"it makes {list(op.shape)} of {before}; the expected network has nothing in its place",
                    change=f"take {op.layer} out",
                    evidence=seen,
                    source=op.source,
                )
    return Explanation(
        code="",
        title=f"{actual.layer} takes another shape than {expected.layer}",
        layer=actual.layer,
        arithmetic=seen[0],
        change=f"give {actual.layer} what {expected.layer} takes: {', '.join(pair.expected[0].inputs)}",
        evidence=pair.problems or seen,
        source=actual.source,
    )


def _words(op: Op) -> str:
    """An operation as one would write it: `max_pool2d with kernel_size=3, stride=2`."""
    shown = [
        f"{name}={setting(op.attributes[name])}"
        for name in ("kernel_size", "stride", "padding", "output_size", "start_dim")
        if name in op.attributes
    ]
    return f"{op.kind}" + (f" ({', '.join(shown)})" if shown else "")


def _is_known(facts: Facts, layer: str) -> bool:
    return layer == "input" or facts.actual_op(layer) is not None
