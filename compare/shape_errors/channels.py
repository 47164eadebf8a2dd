"""M4, M5 and M6: a convolution was made for another number of channels than it is given."""

from __future__ import annotations

from layerdiff.compare.crash import Crash
from layerdiff.compare.kinds import IDLE, MOVING
from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shape_errors.facts import Facts
from layerdiff.compare.trace import INPUT, Op

__all__ = ["channels_are_not_carried", "image_has_channels_last", "image_has_other_channels"]

_COLOURS = {1: "a grey image", 3: "a colour image", 4: "an image with an alpha channel"}
_POINTWISE = IDLE | MOVING | {"sub", "div", "mul", "add", "rsub", "scale", "shift", "pad"}


def image_has_channels_last(facts: Facts) -> Explanation | None:
    """M5: the axes of the image lie as (n, h, w, c), or were turned once too often."""
    mismatch = _mismatch(facts.crash)
    if mismatch is None or facts.crash is None:
        return None
    got, wanted = mismatch
    way = _way_to_input(facts)
    shape = facts.crash.input_shapes[0]
    if way is None or wanted not in shape[2:]:
        return None
    turned = next((op for op in way if op.kind in {"permute", "transpose", "swapaxes", "movedim", "moveaxis"}), None)
    if turned is not None:
        where = f"{turned.layer} turns {list(facts.actual_shape(turned.inputs[0]))} into {list(turned.shape)}"
        change = f"take {turned.layer} out: the image comes as (n, c, h, w) already"
    else:
        where = f"the image came as {list(shape)}"
        change = "give it (n, c, h, w): x.permute(0, 3, 1, 2)"
    return Explanation(
        code="M5",
        title="the image's channels do not lie in the second axis",
        layer=facts.crash.layer,
        arithmetic=f"axis 1 has {got}, {facts.crash.layer} takes {wanted}; the {wanted} channels lie in axis "
        f"{2 + shape[2:].index(wanted)} of {list(shape)}",
        change=change,
        evidence=(where, f"weight {list(facts.crash.parameter_shapes['weight'])}"),
        source=turned.source if turned is not None else facts.crash.source,
    )


def image_has_other_channels(facts: Facts) -> Explanation | None:
    """M6: a grey image for a network for colour, or the other way round."""
    mismatch = _mismatch(facts.crash)
    if mismatch is None or facts.crash is None or _way_to_input(facts) is None:
        return None
    got, wanted = mismatch
    if not {got, wanted} <= {1, 2, 3, 4}:
        return None
    change = f"make {facts.crash.layer} with in_channels={got}"
    if got == 1:
        change = f"repeat the grey channel: x.expand(-1, {wanted}, -1, -1), or load the image as RGB"
    elif got == 4:
        change = "drop the alpha channel: x[:, :3], or load the image as RGB"
    weight = facts.partner.parameters.get("weight") if facts.partner is not None else None
    return Explanation(
        code="M6",
        title=f"{facts.crash.layer} was made for {_COLOURS.get(wanted, 'an image of other channels')}",
        layer=facts.crash.layer,
        arithmetic=f"{got} ≠ {wanted}: {_COLOURS.get(got, 'the image')} has {got}, {facts.crash.layer} takes {wanted}",
        change=change,
        evidence=(
            f"the image came as {list(facts.crash.input_shapes[0])}",
            f"weight {list(facts.crash.parameter_shapes['weight'])}"
            + (f", the expected network's {list(weight.shape)}" if weight is not None else ""),
        ),
        source=facts.crash.source,
    )


def channels_are_not_carried(facts: Facts) -> Explanation | None:
    """M4: the channels that one block gives are not those that the next one was made for."""
    mismatch = _mismatch(facts.crash)
    if mismatch is None or facts.crash is None:
        return None
    got, wanted = mismatch
    larger, smaller = max(got, wanted), min(got, wanted)
    sum_ = f"{got} ≠ {wanted}"
    if larger % smaller == 0:
        ratio = larger // smaller
        sum_ = f"{larger} = {smaller}·{ratio}" + (", and 4 is the expansion of a Bottleneck" if ratio == 4 else "")
    change = f"make {facts.crash.layer} with in_channels={got}; after each block in_planes = planes * expansion"
    evidence = [f"{facts.crash.inputs[0]} gives {list(facts.crash.input_shapes[0])}"]
    weight = facts.partner.parameters.get("weight") if facts.partner is not None else None
    if facts.partner is not None and weight is not None and weight.ndim == 4:
        evidence.append(f"the expected network's {facts.partner.layer} has weight {list(weight.shape)}")
        if _takes(weight.shape, facts.partner.attributes) == wanted:
            change = f"{facts.crash.layer} is right: make {facts.crash.inputs[0]} give {wanted} channels"
    return Explanation(
        code="M4",
        title=f"{facts.crash.layer} was made for other channels than the layer before it gives",
        layer=facts.crash.layer,
        arithmetic=f"{sum_}: {got} channels came, {facts.crash.layer} takes {wanted}",
        change=change,
        evidence=tuple(evidence),
        source=facts.crash.source,
    )


def _mismatch(crash: Crash | None) -> tuple[int, int] | None:
    """The channels a convolution was given and those it takes, where they differ."""
    if crash is None or crash.kind != "conv2d" or not crash.input_shapes or len(crash.input_shapes[0]) != 4:
        return None
    weight = crash.parameter_shapes.get("weight")
    if weight is None or len(weight) != 4:
        return None
    got, wanted = crash.input_shapes[0][1], _takes(weight, crash.attributes)
    return (got, wanted) if got != wanted else None


def _takes(weight: tuple[int, ...], attributes: object) -> int:
    groups = attributes.get("groups", 1) if hasattr(attributes, "get") else 1
    return weight[1] * (groups if isinstance(groups, int) else 1)


def _way_to_input(facts: Facts) -> list[Op] | None:
    """The operations between the network's input and the one that raised, where none of them is a layer."""
    assert facts.crash is not None
    layer = facts.crash.inputs[0] if facts.crash.inputs else ""
    way = list(facts.back(layer))
    last = way[-1].inputs[0] if way and way[-1].inputs else layer
    if last != INPUT or any(op.kind not in _POINTWISE for op in way):
        return None
    return way
