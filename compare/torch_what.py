"""What an operation of a torch network is, apart from where it stands and what it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from layerdiff.compare.folding import kind_of_own_class, roles_by_name
from layerdiff.compare.functions import ROLES, settings
from layerdiff.compare.kinds import attributes_of
from layerdiff.compare.native import is_native_module
from layerdiff.compare.torch_facts import kind_of_module, own_tensors
from layerdiff.compare.trace import Op

__all__ = ["What", "of_function", "of_module", "of_own_class"]


@dataclass(frozen=True)
class What:
    """An operation, apart from where it stands and what it made.

    Attributes:
        kind: conv2d, relu, …
        attributes: that matter for it.
        tensors: its parameters, by role, as the kind has them.
        held: the same as the network holds them.
        native: whether it is torch's own code and nothing else.
    """

    kind: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    held: Mapping[str, Tensor] = field(default_factory=dict)
    native: bool = False


def of_function(kind: str, named: Mapping[str, Any], native: bool) -> What:
    """A function.

    Args:
        kind: of it.
        named: its arguments by name.
        native: whether it is one of torch's own.
    """
    tensors = {role: named[role] for role in ROLES if isinstance(named.get(role), Tensor)}
    if kind == "conv2d" and "weight" in tensors:
        named = {**named, "kernel_size": tuple(tensors["weight"].shape[2:])}
    return What(kind, settings(kind, named), tensors, tensors, native)


def of_module(module: nn.Module, *, takes: int) -> What:
    """One of torch's own layers, which name their tensors as we do; `takes` is how many tensors it is given."""
    kind, tensors = kind_of_module(module), own_tensors(module)
    native = takes == 1 and is_native_module(module)
    return What(kind, attributes_of(kind, module), tensors, tensors, native)


def of_own_class(module: nn.Module, inside: Sequence[Op], *, leaf: bool, keys: Sequence[str]) -> What | None:
    """A class of the network's own that builds one layer out of arithmetic; None where it is no single layer.

    Args:
        module: of that class.
        inside: what ran in it.
        leaf: whether it has no modules inside.
        keys: names, in the state dict, of the tensors that it holds itself.
    """
    own = own_tensors(module)
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    kind = kind_of_own_class(type(module).__name__, leaf=leaf, own=shapes, inside=tuple(inside), mine=list(keys))
    if kind is None:
        return None
    tensors = {role: own[name] for name, role in roles_by_name(shapes).items()}
    return What(kind, attributes_of(kind, module), tensors, tensors)
