"""Operations of a torch network called again: with other inputs, in the precision of those."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_unflatten

from layerdiff.compare.torch_facts import array_of, is_lacking
from layerdiff.compare.torch_sole import sole_array
from layerdiff.compare.trace import Array

__all__ = ["Arguments", "Derived", "FunctionCall", "ModuleCall", "TensorCall", "flattened", "picked", "runner"]

Own = Mapping[int, Tensor]
"""What stands for tensors of the network's own, by their identity."""

NOTHING: Own = MappingProxyType({})

TensorCall = Callable[[Sequence[Tensor]], Tensor]
"""Takes the tensors that come from other operations, in order; gives one tensor."""


@dataclass(frozen=True, eq=False)
class Derived:
    """A tensor that the network made of its own parameters alone: a kernel turned round, a scale out of a variance.

    In another precision it is made again: cast, it would keep the roundings of the one it was made in.

    Attributes:
        tensor: as the network made it.
        function: by which.
        arguments: of that, parameters and tensors of this kind among them.
    """

    tensor: Tensor
    function: Callable[..., Any]
    arguments: Arguments

    def like(self, dtype: torch.dtype, own: Own = NOTHING) -> Tensor:
        """It, as it is in `dtype`; made of what stands for the network's tensors in `own`."""
        if (self.tensor.dtype == dtype and not own) or not self.tensor.is_floating_point():
            return self.tensor
        args, kwargs = self.arguments.cast(dtype, own)
        again = self.function(*args, **kwargs)
        # What does not come out as it did (random numbers, a constant in float32) is cast after all.
        fits = isinstance(again, Tensor) and again.dtype == dtype and again.shape == self.tensor.shape
        return again if fits else self.tensor.to(dtype)


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call: those that come from other operations, and all the rest.

    Attributes:
        leaves: every one, without the containers they came in.
        slots: which of them other operations made.
        spec: the containers.
        dtype: of the first that another operation made; None for none.
    """

    leaves: tuple[Any, ...]
    slots: tuple[int, ...]
    spec: Any
    dtype: torch.dtype | None = None

    @property
    def inputs(self) -> list[Tensor]:
        """Those that other operations made."""
        return [self.leaves[i] for i in self.slots]

    def emptied(self) -> Arguments:
        """The same without what other operations made: what is kept to be called again must not keep that alive."""
        return replace(self, leaves=tuple(None if i in self.slots else leaf for i, leaf in enumerate(self.leaves)))

    def cast(self, dtype: torch.dtype, own: Own = NOTHING) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments and keywords as they are, all tensors in one precision."""
        args, kwargs = tree_unflatten([_like(leaf, dtype, own=own) for leaf in self.leaves], self.spec)
        return args, kwargs

    def filled(self, tensors: Sequence[Tensor], own: Own = NOTHING) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments and keywords with `tensors` in the slots, all other tensors in their precision.

        In the precision in which it was called first, all others are as they were then: a batch norm may have its
        parameters in float32 where its maps are float16.
        """
        dtype = None if tensors[0].dtype == self.dtype else tensors[0].dtype
        # What a function is given as its running statistics it may write to.
        leaves = [_like(leaf, dtype, copy=_is_vector(leaf), own=own) for leaf in self.leaves]
        for i, tensor in zip(self.slots, tensors, strict=True):
            leaves[i] = tensor
        args, kwargs = tree_unflatten(leaves, self.spec)
        return args, kwargs


def flattened(args: Sequence[Any], kwargs: dict[str, Any], is_input: Callable[[Any], bool]) -> Arguments:
    """The arguments of a call, those for which `is_input` holds as its inputs."""
    leaves, spec = tree_flatten((tuple(args), kwargs))
    slots = tuple(i for i, leaf in enumerate(leaves) if is_input(leaf))
    return Arguments(tuple(leaves), slots, spec, leaves[slots[0]].dtype if slots else None)


@dataclass(frozen=True)
class FunctionCall:
    """A function, called again.

    Attributes:
        function: of torch.
        arguments: emptied.
        pick: which of several tensors it gives; None where it gives one.
        gives_first: whether it gives nothing, and changes its first argument.
    """

    function: Callable[..., Any]
    arguments: Arguments
    pick: int | None = None
    gives_first: bool = False

    def __call__(self, tensors: Sequence[Tensor], own: Own = NOTHING) -> Tensor:
        """What it gives for these inputs."""
        args, kwargs = self.arguments.filled(tensors, own)
        result = self.function(*args, **kwargs)
        return picked(args[0] if self.gives_first else result, self.pick)


@dataclass(frozen=True)
class ModuleCall:
    """A module, called again, on copies of what it could change and in the precision of its inputs.

    Attributes:
        module: stays as it is.
        arguments: emptied.
        pick: which of several tensors it gives; None where it gives one.
        training: the modes that it and all parts of it were in when it was called first, and are called again in.
    """

    module: nn.Module
    arguments: Arguments
    pick: int | None = None
    training: tuple[bool, ...] = ()

    @classmethod
    def of(cls, module: nn.Module, arguments: Arguments, pick: int | None = None) -> ModuleCall:
        """The call of a module that is in the mode it is in now."""
        return cls(module, arguments, pick, tuple(part.training for part in module.modules()))

    def __call__(self, tensors: Sequence[Tensor], own: Own = NOTHING) -> Tensor:
        """What it gives for these inputs."""
        dtype = None if tensors[0].dtype == self.arguments.dtype else tensors[0].dtype
        buffers = {name: _like(buffer, dtype, copy=True) for name, buffer in self.module.named_buffers()}
        parameters = {name: _like(parameter, dtype, own=own) for name, parameter in self.module.named_parameters()}
        args, kwargs = self.arguments.filled(tensors, own)
        with _in_modes(self.module, self.training):
            return picked(functional_call(self.module, {**parameters, **buffers}, args, kwargs), self.pick)


@contextlib.contextmanager
def _in_modes(module: nn.Module, training: Sequence[bool]) -> Iterator[None]:
    """A module and its parts in these modes meanwhile, and in their own afterwards."""
    changed = [part for part, mode in zip(module.modules(), training, strict=False) if part.training is not mode]
    for part in changed:
        part.training = not part.training
    try:
        yield
    finally:
        for part in changed:
            part.training = not part.training


def runner(
    call: TensorCall, *, draws: bool = True, dtypes: Sequence[torch.dtype] = (), native: bool = False
) -> Callable[..., Array]:
    """`call` on arrays instead of tensors; torch's random state stays as it is.

    Args:
        call: what is called again.
        draws: whether it may draw random numbers.
        dtypes: of what it was given when it was called first; see `_as_it_was`.
        native: whether it is torch's own code, which holds nothing that it gives: nobody need ask whether it does.
    """
    lacking = [dtype if is_lacking(dtype) else None for dtype in dtypes]
    # Called when the operation runs: whether torch casts for it is part of what runs.
    casts, cast_to = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def run(*inputs: Array) -> Array:
        tensors = [torch.from_numpy(array) for array in inputs]
        if any(lacking):
            tensors = [_as_it_was(tensor, dtype) for tensor, dtype in zip(tensors, lacking, strict=True)]
        kept = torch.random.fork_rng(devices=[]) if draws else contextlib.nullcontext()
        with torch.no_grad(), kept, torch.autocast("cpu", cast_to, enabled=casts):
            return array_of(call(tensors)) if native else sole_array([call(tensors)])

    return run


def _as_it_was(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A float32 tensor in the precision that NumPy lacks, where it stands for one in that.

    It does where that changes none of its values. Another one is what somebody wants the operation to be run on in
    float32, as it would be with any array of another precision.
    """
    if dtype is None or tensor.dtype != torch.float32:
        return tensor
    cast = tensor.to(dtype)
    return cast if torch.equal(cast.float(), tensor) else tensor


def _is_vector(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.ndim == 1


def picked(result: Any, pick: int | None) -> Tensor:
    """One of the tensors that a call gave; the only one for None."""
    found: Tensor = result if pick is None else tree_flatten(result)[0][pick]
    return found


def _like(leaf: Any, dtype: torch.dtype | None, *, copy: bool = False, own: Own = NOTHING) -> Any:
    """A tensor in another precision, or as it is for None, or what stands for it; anything else as it is."""
    if isinstance(leaf, Derived):
        return leaf.tensor if dtype is None and not own else leaf.like(dtype or leaf.tensor.dtype, own)
    if not isinstance(leaf, Tensor) or id(leaf) in own:
        return own.get(id(leaf), leaf)
    return leaf.to(dtype if dtype is not None and leaf.is_floating_point() else leaf.dtype, copy=copy)
