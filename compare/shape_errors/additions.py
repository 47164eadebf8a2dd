"""M7 and M8: the branch and the shortcut of a block do not fit together."""

from __future__ import annotations

from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shape_errors.facts import Facts, Shape, by
from layerdiff.compare.shape_errors.first_cause import first_cause
from layerdiff.compare.shape_errors.windows import window_of
from layerdiff.compare.trace import Op

__all__ = ["projection_is_missing", "sizes_do_not_fit"]


def projection_is_missing(facts: Facts) -> Explanation | None:
    """M7: the shortcut has other channels than the branch, because nothing projects it, or to another width."""
    shapes = _terms(facts)
    if shapes is None or facts.crash is None or shapes[0][1] == shapes[1][1]:
        return None
    short = _shortcut(facts, shapes)
    branch = 1 - short
    have, want = shapes[short][1], shapes[branch][1]
    ratio = f" = {have}·{want // have}" if want > have and want % have == 0 else ""
    places = f", and {by(shapes[short][2:])} ≠ {by(shapes[branch][2:])}" * (shapes[short][2:] != shapes[branch][2:])
    projection = _projection(facts)
    source = facts.crash.inputs[short]
    evidence = [f"the branch, {facts.crash.inputs[branch]}, gives {list(shapes[branch])}",
                f"the shortcut, {source}, gives {list(shapes[short])}"]  # fmt: skip
    if projection is not None:
        evidence.append(f"the expected network has {projection.layer} there, with {_words(projection)}")
    own = _own_projection(facts, source)
    if own is not None and own.shape[1] == have:
        title, change = f"the shortcut's projection {own.layer} has another width", f"give {own.layer} {want} channels"
    else:
        stride = shapes[short][2] // shapes[branch][2] if shapes[branch][2] else 1
        title = "the shortcut is not projected"
        change = (
            f"give the block a projection: nn.Conv2d({have}, {want}, kernel_size=1, stride={stride}, bias=False) and "
            f"nn.BatchNorm2d({want})"
        )
    return Explanation(
        code="M7",
        title=f"{title}: {facts.crash.layer} adds {have} channels to {want}",
        layer=facts.crash.layer,
        arithmetic=f"{have} ≠ {want}{ratio}: the shortcut has {have} channels, the branch {want}{places}",
        change=change,
        evidence=tuple(evidence),
        source=facts.crash.source,
    )


def sizes_do_not_fit(facts: Facts) -> Explanation | None:
    """M8: the channels fit, the maps do not: a padding off by one, or a stride that one of the two lacks."""
    shapes = _terms(facts)
    if shapes is None or facts.crash is None or shapes[0][1] != shapes[1][1] or shapes[0][2:] == shapes[1][2:]:
        return None
    axis = 2 if shapes[0][2] != shapes[1][2] else 3
    one, other = shapes[0][axis], shapes[1][axis]
    wrong = [i for i, shape in enumerate(shapes) if facts.partner is not None and shape != facts.partner.shape]
    culprits = tuple(facts.crash.inputs[i] for i in (wrong or (0, 1)))
    origin = first_cause(facts, facts.ancestors(culprits))
    if max(one, other) % min(one, other) == 0 and abs(one - other) > 1:
        factor = max(one, other) // min(one, other)
        title = f"one of both maps is {factor} times as large: a stride was lost, or stands in another argument"
        sum_ = f"{max(one, other)} = {min(one, other)}·{factor}"
    elif abs(one - other) == 1:
        title, sum_ = "one of both maps is larger by one: padding, ceil_mode or an odd size", f"{one} ≠ {other}"
    else:
        title, sum_ = "the maps of the branch and the shortcut differ", f"{one} ≠ {other}"
    lines = [f"{layer} gives {list(shape)}" for layer, shape in zip(facts.crash.inputs, shapes, strict=True)]
    if facts.partner is not None:
        lines.append(f"the expected network adds maps of {list(facts.partner.shape)}")
    return Explanation(
        code="M8",
        title=title,
        layer=origin.layer if origin is not None else facts.crash.layer,
        arithmetic=f"{sum_}; " + (f"{origin.layer}: {origin.arithmetic}" if origin else _sums(facts)),
        change=origin.change if origin is not None else "make both ways through the block shrink the map equally",
        evidence=(*lines, *(origin.evidence if origin is not None else ())),
        source=origin.source if origin is not None else facts.crash.source,
    )


def _terms(facts: Facts) -> tuple[Shape, Shape] | None:
    """The shapes of both terms of an addition of two maps that raised."""
    crash = facts.crash
    if crash is None or crash.kind not in {"add", "sub"} or len(crash.input_shapes) != 2:
        return None
    one, other = crash.input_shapes
    return (one, other) if len(one) == len(other) == 4 else None


def _shortcut(facts: Facts, shapes: tuple[Shape, Shape]) -> int:
    """Which of both terms is the shortcut: the one that is not of the expected shape, else the shorter way."""
    assert facts.crash is not None
    if facts.partner is not None:
        wrong = [i for i, shape in enumerate(shapes) if shape != facts.partner.shape]
        if len(wrong) == 1:
            return wrong[0]
    lengths = [len(facts.ancestors((layer,))) for layer in facts.crash.inputs]
    return lengths.index(min(lengths))


def _projection(facts: Facts) -> Op | None:
    """The expected network's convolution on the shortcut of this block, where the candidate has none."""
    if facts.partner is None:
        return None
    for layer in facts.partner.inputs:
        for op in facts.back_expected(layer):
            if not facts.is_missing(op.layer):
                break
            if op.kind == "conv2d":
                return op
    return None


def _own_projection(facts: Facts, layer: str) -> Op | None:
    """The candidate's convolution that made the shortcut, if it is one with a 1×1 kernel."""
    for op in facts.back(layer):
        if op.kind == "conv2d":
            return op if op.attributes.get("kernel_size") == (1, 1) else None
        if op.kind not in {"batch_norm", "identity"}:
            return None
    return None


def _words(op: Op) -> str:
    weight = op.parameters.get("weight")
    return f"weight {list(weight.shape) if weight is not None else '?'}, stride {op.attributes.get('stride')}"


def _sums(facts: Facts) -> str:
    """The last window on each of both ways, where no expected operation tells which one is wrong."""
    assert facts.crash is not None
    found = []
    for layer in facts.crash.inputs:
        op = next((op for op in facts.back(layer) if window_of(op.attributes, 0) is not None), None)
        window = window_of(op.attributes, 0) if op is not None else None
        if op is not None and window is not None and op.inputs and len(facts.actual_shape(op.inputs[0])) == 4:
            n = facts.actual_shape(op.inputs[0])[2]
            found.append(f"{op.layer}: {window.sum(n)} = {window.size(n)}")
    return ", ".join(found)
