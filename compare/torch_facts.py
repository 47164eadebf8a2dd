"""Small facts of torch's modules, tensors and functions, as a capture needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from layerdiff.compare.kinds import kind_of_class
from layerdiff.compare.trace import Array

__all__ = [
    "array_of",
    "description",
    "imprint_of",
    "is_atomic",
    "is_lacking",
    "is_neutral",
    "joined",
    "kind_of_module",
    "of_own_tensors",
    "own_tensors",
    "tensors_in",
]


def is_atomic(module: nn.Module) -> bool:
    """Whether a module is one of torch's own layers, or a subclass of one, and not a container."""
    if next(module.children(), None) is not None or isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return False
    own = next(cls for cls in type(module).__mro__ if cls.__module__.startswith("torch.nn."))
    return own is not nn.Module


def kind_of_module(module: nn.Module) -> str:
    """The kind of one of torch's own layers."""
    names = [cls.__name__ for cls in type(module).__mro__ if cls.__module__.startswith("torch.nn.")]
    return kind_of_class(names[0] if names else type(module).__name__)


def own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The floating-point parameters and buffers that a module holds itself, by attribute name."""
    named = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return {name: tensor for name, tensor in named if tensor.is_floating_point()}


def of_own_tensors(
    kind: str, x: Tensor, constants: Sequence[Tensor]
) -> tuple[str, dict[str, Tensor], dict[str, Tensor]]:
    """The kind of arithmetic with the network's own tensors: a product of matrices is a linear layer, a sum a shift.

    Args:
        kind: of the function.
        x: what other operations gave it.
        constants: the network's own tensors among its arguments.

    Returns:
        The kind; those tensors as that kind has them, by role; and as the network holds them.
    """
    if kind == "addmm" and len(constants) == 2 and constants[1].ndim == 2:
        bias, matrix = constants
        return "linear", {"weight": matrix.t(), "bias": bias}, {"weight": matrix, "bias": bias}
    if len(constants) != 1:
        return kind, {}, {}
    (constant,) = constants
    if kind == "matmul" and constant.ndim == 2 and x.ndim == 2:
        return "linear", {"weight": constant.t()}, {"weight": constant}
    role = {"add": "bias", "sub": "bias", "mul": "weight", "div": "weight"}.get(kind)
    if role is None:
        return kind, {}, {}
    return {"bias": "shift", "weight": "scale"}[role], {role: constant}, {role: constant}


_NEUTRAL = {"add": 0, "sub": 0, "mul": 1, "div": 1}


def is_neutral(kind: str, args: Sequence[Any]) -> bool:
    """Whether a number is added or multiplied that changes nothing: `sum(...)` begins with 0."""
    return kind in _NEUTRAL and any(isinstance(arg, int | float) and arg == _NEUTRAL[kind] for arg in args[1:2])


_LACKING = frozenset(
    dtype
    for dtype in (getattr(torch, name) for name in dir(torch) if name.startswith(("bfloat16", "float8")))
    if isinstance(dtype, torch.dtype) and dtype.is_floating_point
)


def is_lacking(dtype: torch.dtype) -> bool:
    """Whether NumPy has no such precision; its values are held in float32, which has all of them."""
    return dtype in _LACKING


def array_of(tensor: Tensor) -> Array:
    """A tensor's values, its own memory where NumPy can look at that.

    Of a meta tensor, which has none, zeros that take no memory; in float32 where NumPy lacks the precision.
    """
    if tensor.is_meta:
        return np.broadcast_to(np.float32(0), tuple(tensor.shape))
    plain = tensor.detach().resolve_conj().resolve_neg()
    found: Array = (plain.float() if is_lacking(plain.dtype) else plain).numpy()
    return found


def imprint_of(tensor: Tensor) -> int | None:
    """A number that changes when a value does: the sum of all bits, taken as integers; None for a meta tensor.

    See `imprint`; torch takes it on all threads.
    """
    if tensor.is_meta:
        return None
    # The memory as it lies: in which order does not matter to a sum.
    whole = tensor.detach().resolve_conj().resolve_neg()
    flat = whole.as_strided((whole.numel(),), (1,)) if _is_dense(whole) else whole.reshape(-1)
    if flat.stride(0) != 1:
        # Every few numbers of another tensor, or one number many times: bits can be taken of a row only.
        flat = torch.empty(flat.shape, dtype=flat.dtype).copy_(flat)
    even = flat.numel() * flat.element_size() % 8 == 0 and flat.storage_offset() * flat.element_size() % 8 == 0
    words = flat.view(torch.int64) if even else flat.view(torch.uint8)
    return int(words.sum(dtype=torch.int64))


def _is_dense(tensor: Tensor) -> bool:
    return tensor.is_contiguous() or (tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last))


def tensors_in(output: object) -> list[tuple[int | None, Tensor]]:
    """The tensors an operation gave, each with its place where there are several."""
    if isinstance(output, Tensor):
        return [(None, output)]
    if not isinstance(output, tuple | list):
        return []
    leaves = tree_flatten(output)[0]
    return [(i, leaf) for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]


def description(output: object, producer: Callable[[Any], str | None]) -> str:
    """What a network gave, if it is not one tensor.

    Args:
        output: what it gave.
        producer: the id of the operation that made a tensor, None for one that none made.
    """
    if output is None:
        return "nothing (None)"
    items: list[tuple[object, object]] = []
    if isinstance(output, Mapping):
        items = list(output.items())
    elif isinstance(output, tuple | list):
        items = list(enumerate(output))
    made = [
        f"{'item ' if isinstance(name, int) else ''}{name!r} is the output of {producer(value)}"
        for name, value in items
        if isinstance(value, Tensor) and producer(value) is not None
    ]
    count = f" of {len(items)}" if items else ""
    return f"a {type(output).__name__}{count}" + (": " + ", ".join(made) if made else "")


def joined(scope: str, name: str) -> str:
    """A path below a module's; of the network itself, the name alone."""
    return f"{scope}.{name}" if scope else name
