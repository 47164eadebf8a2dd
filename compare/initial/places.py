"""What each tensor of a network is for: its use, the fans of its layer, and whether it ends a branch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from layerdiff.compare.initial.rules import Fans, Part, fans_of
from layerdiff.compare.trace import Op

__all__ = ["Place", "places_of"]

_KINDS = {"conv2d": "convolution", "linear": "linear layer", "batch_norm": "batch norm"}
_ROLES = {
    ("batch_norm", "weight"): "scale",
    ("batch_norm", "bias"): "shift",
    ("batch_norm", "running_mean"): "running mean",
    ("batch_norm", "running_var"): "running variance",
}


@dataclass(frozen=True)
class Place:
    """What a tensor is for.

    Attributes:
        group: of all tensors that are there for the same, in words: "the convolutions' weights".
        part: for the rules that may have drawn it.
        fans: of its layer's weight; None where that has none.
        running: whether it is a running estimate, which training moves and no rule draws.
        last: whether it is the scale of the last norm of a residual branch.
    """

    group: str
    part: Part
    fans: Fans | None = None
    running: bool = False
    last: bool = False


def places_of(ops: Sequence[Op], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Place]:
    """What each tensor of a network is for.

    Args:
        ops: its operations, in the order they ran.
        shapes: of all its tensors, by name.
    """
    ends = set(_ends_of_branches(ops))
    found: dict[str, Place] = {}
    for op in ops:
        weight = op.keys.get("weight", "")
        fans = fans_of(shapes.get(weight, ()))
        for role, name in op.keys.items():
            if name in shapes and name not in found:
                part: Part = "norm" if fans is None else "kernel" if role == "weight" else "bias"
                running = role.startswith("running_")
                found[name] = Place(_group(op.kind, role), part, fans, running, op.layer in ends and role == "weight")
    for name, shape in shapes.items():
        if name not in found:
            fans = fans_of(shape)
            found[name] = Place("the other tensors", "norm" if fans is None else "kernel", fans)
    return found


def _group(kind: str, role: str) -> str:
    word = _ROLES.get((kind, role), role.replace("_", " "))
    many = {"bias": "biases"}.get(word, f"{word}s")
    return f"the {_KINDS.get(kind, kind)}s' {many}"


def _ends_of_branches(ops: Sequence[Op]) -> Iterator[str]:
    """Norms that run last before a residual addition, on the longer of its two ways.

    A projection's norm also runs just before the addition, on the way with fewer layers.
    """
    by_id = {op.layer: op for op in ops}
    depth: dict[str, int] = {}
    for op in ops:
        depth[op.layer] = int(bool(op.keys)) + max((depth.get(name, 0) for name in op.inputs), default=0)
    for op in ops:
        if op.kind != "add" or len(op.inputs) != 2:
            continue
        deepest = max(op.inputs, key=lambda name: depth.get(name, 0))
        if deepest in by_id and by_id[deepest].kind == "batch_norm":
            yield deepest
