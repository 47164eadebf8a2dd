"""M11 and M12: a batch norm for other channels, without its axes, or with nothing to average."""

from __future__ import annotations

from math import prod

from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shape_errors.facts import Facts, times

__all__ = ["norm_has_one_value", "norm_is_for_other_channels"]


def norm_is_for_other_channels(facts: Facts) -> Explanation | None:
    """M11: `num_features` is not the number of channels that come, or `squeeze` took the axes away."""
    crash = facts.crash
    if crash is None or crash.kind != "batch_norm" or not crash.input_shapes:
        return None
    shape = crash.input_shapes[0]
    sizes = [size for role in ("running_mean", "weight") for size in crash.parameter_shapes.get(role, ())]
    squeezed = next((op for op in facts.back(crash.inputs[0]) if op.kind == "squeeze"), None)
    if len(shape) != 4 and squeezed is not None:
        before = facts.actual_shape(squeezed.inputs[0])
        return Explanation(
            code="M11",
            title=f"{squeezed.layer} took the axes away that {crash.layer} needs",
            layer=squeezed.layer,
            arithmetic=f"{list(before)} without its axes of size 1 is {list(shape)}; "
            f"{crash.layer} takes (n, {sizes[0] if sizes else 'c'}, h, w)",
            change="name the axes of squeeze, or leave it to torch.flatten(x, 1) behind the batch norm",
            evidence=(f"{squeezed.layer} gives {list(squeezed.shape)}", f"the batch has {facts.actual.shape[0]}"),
            source=squeezed.source,
        )
    if len(shape) < 2 or not sizes or sizes[0] == shape[1]:
        return None
    came, made_for = shape[1], sizes[0]
    larger, smaller = max(came, made_for), min(came, made_for)
    sum_ = f"{larger} = {smaller}·{larger // smaller}" if larger % smaller == 0 else f"{came} ≠ {made_for}"
    evidence = [f"{crash.inputs[0]} gives {list(shape)}", f"running_mean [{made_for}]"]
    change = f"nn.BatchNorm2d({came}) for {crash.layer}"
    partner = facts.partner
    if partner is not None and partner.kind == "batch_norm":
        evidence.append(f"the expected network's {partner.layer} has {partner.shape[1]}")
        if partner.shape[1] == made_for:
            change = f"{crash.layer} is right: make {crash.inputs[0]} give {made_for} channels"
    return Explanation(
        code="M11",
        title=f"{crash.layer} was made for {made_for} channels, {came} came",
        layer=crash.layer,
        arithmetic=f"{sum_}: {came} channels came, num_features is {made_for}",
        change=change,
        evidence=tuple(evidence),
        source=crash.source,
    )


def norm_has_one_value(facts: Facts) -> Explanation | None:
    """M12: in training mode the variance of a single value per channel is asked for."""
    crash = facts.crash
    if crash is None or crash.kind != "batch_norm" or not crash.input_shapes or not crash.attributes.get("training"):
        return None
    shape = crash.input_shapes[0]
    over = (shape[0], *shape[2:])
    if len(shape) < 2 or prod(over) != 1:
        return None
    return Explanation(
        code="M12",
        title=f"{crash.layer} runs in training mode, with one value per channel",
        layer=crash.layer,
        arithmetic=f"n·h·w = {times(over)} = 1: one value has no variance",
        change="call network.eval() to compare or to predict; to train, a larger batch or image, and drop_last=True",
        evidence=(f"{crash.inputs[0]} gives {list(shape)}", "training=True"),
        source=crash.source,
    )
