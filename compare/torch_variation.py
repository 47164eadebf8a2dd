"""An operation of a torch network called again with one of its settings or parameters exchanged.

This is how a mistake is undone without touching anybody's code: the same function with another `eps`, the same module
with another `stride`. Whoever reads his settings from elsewhere (a number in the code) cannot be helped this way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_unflatten

from layerdiff.compare.functions import argument_name, places_of
from layerdiff.compare.torch_calls import FunctionCall, ModuleCall, picked, runner
from layerdiff.compare.trace import Array

__all__ = ["Vary", "function_varied", "module_varied"]

Vary = Callable[[Mapping[str, object], Mapping[str, Array]], "Callable[..., Array] | None"]


def function_varied(call: FunctionCall, kind: str) -> Vary:
    """How a function is called again with other arguments.

    Args:
        call: as it was called.
        kind: of the operation.

    Returns:
        Takes settings and parameters by torch's names; gives what runs the function with them, or None where it has no
        such argument.
    """

    def vary(attributes: Mapping[str, object], parameters: Mapping[str, Array]) -> Callable[..., Array] | None:
        _, kwargs = tree_unflatten(list(call.arguments.leaves), call.arguments.spec)
        names = places_of(call.function, kind)
        if not set(attributes) | set(parameters) <= {*names, *(argument_name(name) for name in kwargs)}:
            return None
        return runner(_FunctionVaried(call, tuple(names), dict(attributes), dict(parameters)))

    return vary


def module_varied(call: ModuleCall, roles: Mapping[str, str]) -> Vary:
    """How a module is called again with other attributes, or other values in its parameters and buffers.

    Args:
        call: as it was called; its module stays as it is.
        roles: the attribute that holds each parameter, by role.

    Returns:
        Takes settings and parameters by torch's names; gives what runs the module with them, or None where it has no
        such attribute.
    """
    module = call.module

    def vary(attributes: Mapping[str, object], parameters: Mapping[str, Array]) -> Callable[..., Array] | None:
        if not all(hasattr(module, name) for name in attributes) or not set(parameters) <= set(roles):
            return None
        one = copy.copy(module)
        one._parameters, one._buffers = dict(module._parameters), dict(module._buffers)
        for name, value in attributes.items():
            setattr(one, name, like_before(getattr(module, name), value))
        for role, array in parameters.items():
            tensor = torch.from_numpy(np.ascontiguousarray(array))
            if roles[role] in one._parameters:
                one._parameters[roles[role]] = nn.Parameter(tensor, requires_grad=False)
            else:
                one._buffers[roles[role]] = tensor
        return runner(replace(call, module=one))

    return vary


@dataclass(frozen=True)
class _FunctionVaried:
    call: FunctionCall
    names: tuple[str, ...]
    attributes: Mapping[str, object]
    parameters: Mapping[str, Array]

    def __call__(self, tensors: Sequence[Tensor]) -> Tensor:
        args, kwargs = self.call.arguments.filled(tensors)
        given = list(args)
        dtype = tensors[0].dtype
        arrays = {role: torch.from_numpy(np.array(array)).to(dtype) for role, array in self.parameters.items()}
        for name, value in {**self.attributes, **arrays}.items():
            keyword = next((one for one in kwargs if argument_name(one) == name), None)
            if keyword is None and name in self.names and self.names.index(name) < len(given):
                place = self.names.index(name)
                given[place] = value if name in arrays else like_before(given[place], value)
            else:
                before = kwargs.get(keyword or name, value)
                kwargs[keyword or name] = value if name in arrays else like_before(before, value)
        result = self.call.function(*given, **kwargs)
        return picked(given[0] if self.call.gives_first else result, self.call.pick)


def like_before(before: object, value: object) -> object:
    """A setting in the form in which it stood there: `2` for (2, 2) where a single number stood."""
    if isinstance(before, int) and isinstance(value, tuple) and len(set(value)) == 1:
        return value[0]
    return value
