"""Which operations are torch's own code and nothing else, so that what they do to their inputs is known.

Of such an operation, unless it works in place, three things are known without watching it: it writes to nothing it is
given, it gives an array of its own or a view of its input, and what it does at one place of a map it does at every
place. Whoever replaces, wraps, hooks or inherits torch's code gets none of that: his operation is watched.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["is_native_function", "is_native_module", "native_call"]

_CLASSES: frozenset[type[nn.Module]] = frozenset(
    {
        nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Linear, nn.Flatten,
        nn.Identity, nn.Dropout,
    }
)  # fmt: skip
_NAMES = (
    "conv2d", "batch_norm", "relu", "relu_", "max_pool2d", "_max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "linear",
    "flatten", "add", "add_", "__add__", "__radd__", "__iadd__", "view", "reshape", "mean", "squeeze", "unsqueeze",
    "permute", "transpose", "pad", "dropout",
)  # fmt: skip


def _functions() -> frozenset[Callable[..., Any]]:
    owners = (torch, nn.functional, Tensor, torch._C._nn)
    found = {getattr(owner, name, None) for owner in owners for name in _NAMES}
    return frozenset(function for function in found if function is not None)


# Taken when this is imported: what somebody puts in the place of one of them later is not among them.
_FUNCTIONS = _functions()
_FORWARDS = {kind: (kind.forward, kind.__call__, getattr(kind, "_conv_forward", None)) for kind in _CLASSES}


def is_native_module(module: nn.Module) -> bool:
    """Whether calling a module runs torch's own code and nothing else.

    Exactly one of torch's classes, none of its methods replaced on it or on its class, no hooks, no parametrization,
    and plain tensors as parameters and buffers. A batch norm in training mode is not: it looks at the whole batch.

    Args:
        module: as its owner left it; a hook of the capture's own would count as one.
    """
    kind = type(module)
    if kind not in _CLASSES or (module.training and kind in {nn.BatchNorm2d, nn.Dropout}):
        return False
    if _FORWARDS[kind] != (kind.forward, kind.__call__, getattr(kind, "_conv_forward", None)):
        return False
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    replaced = any(callable(getattr(kind, name, None)) for name in vars(module))
    tensors = (*module.parameters(), *module.buffers())
    return not any(hooks) and not replaced and all(type(tensor) in {Tensor, nn.Parameter} for tensor in tensors)


def native_call(module: nn.Module) -> Callable[[Sequence[Tensor]], Tensor]:
    """Calls a native module in the precision of what it is given, without the care that an unknown one needs.

    In eval mode it writes to no parameter and no buffer and draws no random number: nothing has to be copied, and
    nothing restored. In another precision a second module runs, which shares everything but its tensors with the first.
    """

    def call(tensors: Sequence[Tensor]) -> Tensor:
        dtype = tensors[0].dtype
        own = (*module._parameters.items(), *module._buffers.items())
        floating = {name: tensor for name, tensor in own if tensor is not None and tensor.is_floating_point()}
        one = module
        if any(tensor.dtype != dtype for tensor in floating.values()):
            one = copy.copy(module)
            cast = {name: tensor.detach().to(dtype) for name, tensor in floating.items()}
            one._parameters = {name: None for name, value in module._parameters.items() if value is None}
            one._buffers = {**module._buffers, **cast}
        result: Tensor = one(*tensors)
        return result

    return call


def is_native_function(function: Callable[..., Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a function is one of torch's own that is known here, and writes into no array that it is given."""
    return function in _FUNCTIONS and "out" not in kwargs
