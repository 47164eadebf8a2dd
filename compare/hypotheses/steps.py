"""The expected operation as a step, with parameters of its own or others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from layerdiff.compare.hypotheses import kit
from layerdiff.compare.hypotheses.convolution.geometry import Geometry
from layerdiff.compare.hypotheses.kit import Step
from layerdiff.compare.trace import Array, Op

__all__ = ["step_of"]


def step_of(op: Op, parameters: Mapping[str, Array] | None = None) -> Step | None:
    """An expected operation as a step; None for a kind the kit has no step for.

    Args:
        op: the operation.
        parameters: other ones than its own, by role.
    """
    p: Any = op.parameters if parameters is None else parameters
    attributes: Any = op.attributes
    if op.kind == "conv2d":
        geometry = Geometry.of(op)
        return None if geometry is None else geometry.step(p["weight"], p.get("bias"))
    if op.kind == "batch_norm" and {"running_mean", "running_var"} <= set(p):
        return kit.batch_norm(p["running_mean"], p["running_var"], p.get("weight"), p.get("bias"),
                              eps=attributes["eps"])  # fmt: skip
    if op.kind == "linear":
        return kit.linear(p["weight"], p.get("bias"))
    if op.kind == "adaptive_avg_pool2d":
        return kit.adaptive_avg_pool2d(attributes["output_size"])
    if op.kind == "avg_pool2d":
        return kit.avg_pool2d(attributes["kernel_size"], attributes["stride"], attributes["padding"])
    if op.kind == "max_pool2d":
        return kit.max_pool2d(attributes["kernel_size"], attributes["stride"], attributes["padding"],
                              dilation=attributes.get("dilation", (1, 1)),
                              ceil_mode=bool(attributes.get("ceil_mode", False)))  # fmt: skip
    if op.kind == "relu":
        return kit.relu()
    return kit.add() if op.kind == "add" and len(op.inputs) == 2 else None
