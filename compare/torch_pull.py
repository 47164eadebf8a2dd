"""Operations of a torch network, differentiated one at a time: torch's own backward, or the one that somebody wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from layerdiff.compare.torch_calls import Arguments, Derived, FunctionCall, ModuleCall
from layerdiff.compare.torch_facts import array_of
from layerdiff.compare.trace import Array, Pull, Pulled

__all__ = ["puller", "tensors_of_call"]


def puller(call: FunctionCall | ModuleCall, named: Mapping[str, Tensor]) -> Pull:
    """How the gradient of what `call` gives becomes those of what it took.

    It is called again on the inputs given, in their precision, and torch goes back through it. A class that brings a
    backward of its own (`torch.autograd.Function`) is asked for that.

    Args:
        call: of the operation.
        named: the network's own tensors that take part in it, by their names in the state dict.
    """
    # Called when the operation runs: whether torch casts for it is part of what runs.
    casts, cast_to = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def pull(inputs: Sequence[Array], covector: Array) -> Pulled:
        leaves = [torch.from_numpy(np.array(array)).requires_grad_() for array in inputs]
        dtype = leaves[0].dtype
        own = {name: tensor.detach().to(dtype, copy=True).requires_grad_() for name, tensor in named.items()}
        stand_ins = {id(tensor): own[name] for name, tensor in named.items()}
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), torch.autocast("cpu", cast_to, enabled=casts):
            # What works in place may not be given a leaf.
            output = call([leaf.clone() for leaf in leaves], stand_ins)
            sources = [*leaves, *own.values()]
            if not output.requires_grad:
                return Pulled((None,) * len(leaves), {})
            # A covector has the strides of the output where a hand-written backward takes a view of it.
            gradients = torch.autograd.grad(output, sources, torch.from_numpy(np.array(covector)), allow_unused=True)
        arrays = [None if gradient is None else array_of(gradient).copy() for gradient in gradients]
        of_own = {name: array for name, array in zip(own, arrays[len(leaves) :], strict=True) if array is not None}
        return Pulled(tuple(arrays[: len(leaves)]), of_own)

    return pull


def tensors_of_call(call: FunctionCall | ModuleCall) -> Iterator[Tensor]:
    """The floating-point tensors that a call holds, apart from what other operations give it."""
    if isinstance(call, ModuleCall):
        yield from (tensor for tensor in call.module.parameters() if tensor.is_floating_point())
    yield from _within(call.arguments)


def _within(arguments: Arguments) -> Iterator[Tensor]:
    for leaf in arguments.leaves:
        if isinstance(leaf, Derived):
            yield from _within(leaf.arguments)
        elif isinstance(leaf, Tensor) and leaf.is_floating_point():
            yield leaf
