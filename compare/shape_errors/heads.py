"""M1, M2 and M3: what reaches the linear layer is not what it was made for."""

from __future__ import annotations

import re
from math import isqrt, prod

from layerdiff.compare.kinds import MOVING
from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shape_errors.facts import Facts, Shape, by, times
from layerdiff.compare.trace import Op

__all__ = ["flatten_is_missing", "head_is_for_another_backbone", "map_is_not_pooled"]

_LINEAR = frozenset({"linear", "matmul", "addmm"})
_POOLS = frozenset({"avg_pool2d", "adaptive_avg_pool2d", "max_pool2d", "mean"})


def flatten_is_missing(facts: Facts) -> Explanation | None:
    """M1: the linear layer takes a map of four axes, so that it multiplies along its width."""
    wanted = _features(facts)
    if facts.crash is None or wanted is None or len(facts.crash.input_shapes[0]) != 4:
        return None
    shape = facts.crash.input_shapes[0]
    _, c, _, w = shape
    flat = prod(shape[1:])
    result = f"flattened it has {times(shape[1:])} = {flat}"
    pool = "" if flat == wanted or c != wanted else f"; pooled to 1×1 and flattened it has {c}"
    change = "put torch.flatten(x, 1) before it"
    if flat != wanted and c == wanted:
        change = "put nn.AdaptiveAvgPool2d((1, 1)) and torch.flatten(x, 1) before it"
    lacking = [op.layer for op in facts.back_expected(_source(facts)) if facts.is_missing(op.layer)][:1]
    return Explanation(
        code="M1",
        title=f"{facts.crash.layer} takes a map that was not flattened",
        layer=facts.crash.layer,
        arithmetic=f"it multiplies along the last axis, which has {w}, and needs {wanted}; {result}{pool}",
        change=change,
        evidence=(
            f"it takes {list(shape)} from {facts.crash.inputs[0]}",
            *(f"the expected network has {layer} before it, the candidate has not" for layer in lacking),
        ),
        source=facts.crash.source,
    )


def map_is_not_pooled(facts: Facts) -> Explanation | None:
    """M2: more than one place of the map reached the flatten."""
    crash = facts.crash
    if crash is None or not crash.input_shapes:
        return None
    if crash.kind in {"view", "reshape"}:
        return _view_is_too_small(facts)
    wanted = _features(facts)
    if wanted is None or len(crash.input_shapes[0]) != 2:
        return None
    last = _last_map(facts, crash.inputs[0])
    if last is None:
        return None
    _, c, h, w = last.shape
    made_for = _map_of(wanted, c)
    if c * h * w != crash.input_shapes[0][1] or (h, w) == made_for or made_for is None:
        return None
    return _not_pooled(facts, last, made_for, f"{c * h * w} = {times((c, h, w))}", crash.source)


def head_is_for_another_backbone(facts: Facts) -> Explanation | None:
    """M3: the linear layer was made for another number of channels."""
    wanted = _features(facts)
    if facts.crash is None or wanted is None or len(facts.crash.input_shapes[0]) != 2:
        return None
    given = facts.crash.input_shapes[0][1]
    if given == wanted:
        return None
    sum_ = f"{given} ≠ {wanted}"
    larger, smaller = max(given, wanted), min(given, wanted)
    if larger % smaller == 0:
        ratio = larger // smaller
        sum_ = f"{larger} = {smaller}·{ratio}" + (", and 4 is the expansion of a Bottleneck" if ratio == 4 else "")
    evidence = [f"it takes {list(facts.crash.input_shapes[0])}, and has in_features={wanted}"]
    change = f"nn.Linear({given}, …), or 512 * block.expansion"
    expected = facts.partner.parameters.get("weight") if facts.partner is not None else None
    if expected is not None and expected.ndim == 2:
        features = expected.shape[1]
        evidence.append(f"the expected network's {facts.partner.layer} has in_features={features}")  # type: ignore[union-attr]
        if features == wanted:
            change = f"the head is right: make the network before it give {features} channels"
    return Explanation(
        code="M3",
        title=f"{facts.crash.layer} was made for another number of channels",
        layer=facts.crash.layer,
        arithmetic=f"{sum_}: {given} features came, {facts.crash.layer} takes {wanted}",
        change=change,
        evidence=tuple(evidence),
        source=facts.crash.source,
    )


def _view_is_too_small(facts: Facts) -> Explanation | None:
    """`x.view(n, 2048)` of a map that is larger than 1×1."""
    crash = facts.crash
    assert crash is not None
    match = re.search(r"shape '\[([-\d, ]+)\]' is invalid", crash.message)
    shape = crash.input_shapes[0]
    if match is None or len(shape) != 4:
        return None
    target = [int(size) for size in match[1].split(",")]
    made_for = _map_of(target[-1], shape[1]) if len(target) == 2 else None
    last = _last_map(facts, crash.inputs[0])
    if made_for is None or made_for == shape[2:] or last is None:
        return None
    return _not_pooled(facts, last, made_for, f"{prod(shape[1:])} = {times(shape[1:])} ≠ {target[-1]}", crash.source)


def _not_pooled(facts: Facts, last: Op, made_for: Shape, sum_: str, source: str | None) -> Explanation:
    assert facts.crash is not None
    partner = facts.stands_for(last.layer)
    pooled = partner.shape[2:] if partner is not None and len(partner.shape) == 4 else None
    if pooled is None or pooled == last.shape[2:]:
        wish = f"{facts.crash.layer} was made for {by(made_for)}"
    else:
        wish = f"the expected network pools to {by(pooled)}"
    evidence = [f"{last.layer} gives {list(last.shape)}"]
    change = "put nn.AdaptiveAvgPool2d((1, 1)) before the flatten"
    if last.kind in _POOLS and last.inputs:
        before = facts.actual_shape(last.inputs[0])
        kernel = last.attributes.get("kernel_size")
        evidence.append(f"it has kernel_size={kernel}, and takes a map of {by(before[2:])}")
        change = f"replace {last.layer} by nn.AdaptiveAvgPool2d({made_for}), which fits every size of image"
    return Explanation(
        code="M2",
        title=f"more than {by(made_for)} of the map reached the flatten",
        layer=facts.crash.layer,
        arithmetic=f"{sum_}: a {by(last.shape[2:])} map reached the flatten; {wish}",
        change=change,
        evidence=tuple(evidence),
        source=last.source or source,
    )


def _features(facts: Facts) -> int | None:
    """How many features the linear layer that raised takes; None if it was no linear layer."""
    crash = facts.crash
    if crash is None or crash.kind not in _LINEAR or not crash.input_shapes:
        return None
    weight = crash.parameter_shapes.get("weight")
    if weight is not None and len(weight) == 2:
        return weight[1]
    # A product with a matrix that is no parameter: only the message has its size.
    match = re.search(r"\(\d+x\d+ and (\d+)x\d+\)", crash.message)
    return int(match[1]) if match else None


def _last_map(facts: Facts, layer: str) -> Op | None:
    """The last operation before `layer`, or it itself, that gave a map of four axes, behind reshapings only."""
    for op in facts.back(layer):
        if len(op.shape) == 4:
            return op
        if op.kind not in MOVING:
            return None
    return None


def _map_of(features: int, channels: int) -> Shape | None:
    """The square map for which a layer with so many features was made; None if there is none."""
    if features % channels:
        return None
    side = isqrt(features // channels)
    return (side, side) if side * side == features // channels else None


def _source(facts: Facts) -> str:
    partner = facts.partner
    return partner.inputs[0] if partner is not None and partner.inputs else ""
