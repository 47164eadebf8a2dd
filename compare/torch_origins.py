"""From which of a network's own tensors a tensor was made without the input, and how."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from layerdiff.compare.torch_calls import Arguments, Derived, FunctionCall, ModuleCall
from layerdiff.compare.torch_pull import tensors_of_call

__all__ = ["Origins"]


class Origins:
    """Who made which tensor out of parameters and buffers alone.

    Args:
        network: whose tensors they are.
    """

    def __init__(self, network: nn.Module) -> None:
        self._names = {id(tensor): name for name, tensor in network.named_parameters()}
        self._origins: dict[int, tuple[weakref.ref[Any], frozenset[str]]] = {}
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            self._origins[id(tensor)] = (weakref.ref(tensor), frozenset({name}))
        self._derived: dict[int, Derived] = {}

    def of(self, tensor: object) -> frozenset[str]:
        """The names of the network's own tensors that one is, or was made of."""
        ref, names = self._origins.get(id(tensor), (None, frozenset[str]()))
        return names if ref is not None and ref() is tensor else frozenset()

    def keys(self, tensors: Mapping[str, Tensor]) -> dict[str, str]:
        """For each tensor the one of the network's own, by name, that it is or was made of, where there is just one."""
        made_of = {role: self.of(tensor) for role, tensor in tensors.items()}
        return {role: next(iter(names)) for role, names in made_of.items() if len(names) == 1}

    def follow(self, function: Any, given: Arguments, output: object) -> None:
        """What is made of parameters alone is still theirs: permuted, reshaped, scaled."""
        tensors = [leaf for leaf in given.leaves if isinstance(leaf, Tensor)]
        names = frozenset[str]().union(*(self.of(tensor) for tensor in tensors))
        if not names or not isinstance(output, Tensor) or self.of(output):
            return
        self._origins[id(output)] = (weakref.ref(output), names)
        self._derived[id(output)] = Derived(output, function, self.with_derived(given))

    def with_derived(self, given: Arguments) -> Arguments:
        """The arguments of a call, with how each tensor in them was made of the network's own."""
        leaves = (self._derived.get(id(leaf), leaf) if isinstance(leaf, Tensor) else leaf for leaf in given.leaves)
        return replace(given, leaves=tuple(leaves))

    def taking_part(self, call: FunctionCall | ModuleCall, *without: Tensor | None) -> dict[str, Tensor]:
        """The network's own parameters that take part in a call, by their names, but for some."""
        others = {id(tensor) for tensor in without}
        found = (tensor for tensor in tensors_of_call(call) if id(tensor) not in others)
        return {self._names[id(tensor)]: tensor for tensor in found if id(tensor) in self._names}
