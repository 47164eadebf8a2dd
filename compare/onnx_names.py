"""Layer ids for the nodes of an ONNX graph, from whatever its exporter left of the names they had."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Sequence

from onnx import NodeProto

__all__ = ["layer_paths"]

_ID = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_ROLES = frozenset({"weight", "bias", "running_mean", "running_var", "gamma", "beta", "moving_mean", "moving_variance",
                    "kernel", "scale", "mean", "var"})  # fmt: skip
_SCOPES = "pkg.torch.onnx.name_scopes"


def layer_paths(nodes: Sequence[NodeProto], kinds: Sequence[str], constants: Container[str]) -> list[str]:
    """The path of each node: that of the module it was, `layer1.0.conv1`, where that can be known.

    In this order: the name of its weight; the scope that torch's exporter noted; the scope that the older exporter made
    the node's name of; its own name or its output's, where that is like a layer id; and else its type and place,
    `Conv_12`. A scope that holds others is a block, not a layer: a sum in `layer1.0` is `layer1.0.add`.

    Args:
        nodes: in order.
        kinds: of each, in our vocabulary.
        constants: the names of the weights.
    """
    owners = [_of_weight(node, constants) for node in nodes]
    scopes = [_noted_scope(node) if _noted_scope(node) is not None else _scope_of_name(node.name) for node in nodes]
    known = {path for path in (*owners, *scopes) if path}
    blocks = {path.rpartition(".")[0] for path in known} | {""}
    blocks |= {".".join(path.split(".")[:i]) for path in known for i in range(1, len(path.split(".")))}
    found = []
    for place, (node, kind, owner, scope) in enumerate(zip(nodes, kinds, owners, scopes, strict=True)):
        if owner:
            found.append(owner)
        elif scope is not None:
            found.append(scope if scope not in blocks else f"{scope}.{kind}".lstrip("."))
        else:
            found.append(_own_name(node) or f"{node.op_type}_{place}")
    return [_uncounted(path, kind, found[:i], kinds) for i, (path, kind) in enumerate(zip(found, kinds, strict=True))]


def _uncounted(path: str, kind: str, before: Sequence[str], kinds: Sequence[str]) -> str:
    """`relu` for `relu_1`, where a `relu` of the same kind ran before it: the same module, called again."""
    base = re.sub(r"_\d+$", "", path)
    again = base != path and any(one == base and its == kind for one, its in zip(before, kinds, strict=False))
    return base if again else path


def _of_weight(node: NodeProto, constants: Container[str]) -> str | None:
    """`layer1.0.conv1` of the weight `layer1.0.conv1.weight`."""
    for name in node.input[1:]:
        path, _, role = str(name).rpartition(".")
        if name in constants and role.lower() in _ROLES and _ID.fullmatch(path):
            return path
    return None


def _noted_scope(node: NodeProto) -> str | None:
    """The module in which torch's newer exporter says that the operation ran; the last entry is the operation."""
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            try:
                scopes = ast.literal_eval(entry.value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                return None
            if isinstance(scopes, list) and len(scopes) > 1 and all(isinstance(scope, str) for scope in scopes):
                scope: str = scopes[-2]
                return scope if not scope or _ID.fullmatch(scope) else None
    return None


def _scope_of_name(name: str) -> str | None:
    """`layer1.0.conv1` of `/layer1/layer1.0/conv1/Conv`, as torch's older exporter writes it.

    A module of a `Sequential` stands there with its parent's name before its own.
    """
    if not name.startswith("/"):
        return None
    parts: list[str] = []
    for part in name.split("/")[1:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts[-1] = part
        else:
            parts.append(part)
    path = ".".join(parts)
    return path if not path or _ID.fullmatch(path) else None


def _own_name(node: NodeProto) -> str | None:
    """Its own name or its output's, where a person seems to have given it."""
    for name in map(str, (node.name, *node.output[:1])):
        if "." in name and _ID.fullmatch(name):
            return name
    return str(node.name) if _ID.fullmatch(node.name) and not re.search(r"_\d+$", node.name) else None
