"""M17: a change in place of a value that the backward pass needs. It raises only in training."""

from __future__ import annotations

from collections.abc import Sequence

from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.structure import Structure
from layerdiff.compare.trace import Op

__all__ = ["explain_in_place"]

_KEEPS_OUTPUT = frozenset({"relu", "sigmoid", "tanh", "softmax", "log_softmax", "exp", "sqrt", "rsqrt", "reciprocal",
                           "elu", "celu", "selu", "dropout_"})  # fmt: skip
"""Kinds whose derivative is computed from what they gave."""

_KEEPS_INPUT = frozenset({"conv2d", "batch_norm", "linear", "matmul", "max_pool2d", "avg_pool2d", "adaptive_max_pool2d",
                          "gelu", "silu", "leaky_relu", "relu6", "hardtanh", "hardswish", "mish", "softplus", "pow",
                          "square", "group_norm", "layer_norm", "instance_norm", "prelu", "clamp", "abs",
                          "adaptive_avg_pool2d"})  # fmt: skip
"""Kinds whose derivative is computed from what they took; a product of two values is looked at by itself."""

_CHANGES = frozenset({"add", "sub", "mul", "div", "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "silu",
                      "hardtanh", "clamp", "clamp_min", "pow", "sqrt", "exp", "neg", "copy", "fill", "zero", "setitem",
                      "threshold", "sigmoid", "tanh", "hardswish", "mish", "dropout_", "shift", "scale",
                      "masked_fill"})  # fmt: skip
"""Kinds that change numbers, so that one in place destroys what was there; others in place give back what they took."""

_VIEWS = frozenset({"view", "flatten", "reshape", "squeeze", "unsqueeze", "permute", "transpose", "getitem", "narrow",
                    "select", "expand", "t", "T", "view_as", "swapaxes", "movedim", "identity", "detach"})  # fmt: skip
"""Kinds that give the same numbers in another shape: a change of one is a change of the other."""


def explain_in_place(structure: Structure) -> Explanation | None:
    """M17: the first operation in place that destroys what an operation before it keeps for its derivative.

    Found in the data flow alone; nothing is run. A forward pass does not mind, and neither does a comparison.

    Args:
        structure: of the network, in whatever mode it will be trained in, as far as that changes its operations.

    Source: torch's autograd notes on in-place operations; which values are kept is in its derivatives.yaml.
    """
    storage: dict[str, str] = {}
    kept: dict[str, list[tuple[Op, str]]] = {}
    for op in structure.ops:
        own = storage.get(op.inputs[0], op.inputs[0]) if op.inputs else op.layer
        shares = op.in_place or (op.kind in _VIEWS and len(op.inputs) == 1)
        if op.in_place and op.kind in _CHANGES and kept.get(own):
            victim, what = kept[own][0]
            return _explanation(op, victim, what)
        storage[op.layer] = own if shares else op.layer
        if op.kind in _KEEPS_OUTPUT:
            kept.setdefault(storage[op.layer], []).append((op, "output"))
        if op.kind in _KEEPS_INPUT or (op.kind in {"mul", "div"} and len(op.inputs) > 1):
            for layer in _needed(op):
                # What came from outside needs no derivative, but a weight's derivative needs it.
                kept.setdefault(storage.get(layer, layer), []).append((op, "input"))
    return None


def _needed(op: Op) -> Sequence[str]:
    return op.inputs if op.kind in {"mul", "matmul"} else op.inputs[-1:] if op.kind == "div" else op.inputs[:1]


def _explanation(op: Op, victim: Op, what: str) -> Explanation:
    change = f"write out = out + identity instead of out += identity at {op.layer}"
    if op.kind != "add":
        change = f"let {op.layer} not work in place: inplace=False"
    return Explanation(
        code="M17",
        title=f"{op.layer} changes in place what {victim.layer} needs for its derivative; training would raise",
        layer=op.layer,
        arithmetic=f"{victim.layer} ({victim.kind}) keeps its {what} for the backward pass; {op.layer} overwrites it",
        change=change,
        evidence=(f"{op.layer} gives its first input, {op.inputs[0]}, changed", f"kept by {victim.layer}"),
        source=op.source,
    )
