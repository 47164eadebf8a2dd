"""A network that was handed over as an object: judged as it is and left as it was, so refused where it would not do."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from layerdiff.candidate.accept import accept
from layerdiff.errors import InputError

__all__ = ["as_handed_over"]


def as_handed_over(made: Any, option: str) -> tuple[Any, tuple[str, ...]]:
    """The network to judge, and notes; unlike `candidate.accept`, nothing of the object is changed.

    Args:
        made: what was handed over.
        option: as what, for errors.

    Raises:
        InputError: it is no network; or one that would have to be moved, cast or taken apart first.
    """
    if not isinstance(made, nn.Module):
        return accept(made, option)
    network, notes = made, []
    while isinstance(original := getattr(network, "_orig_mod", None), nn.Module):
        network, notes = original, [f"{option}: took the network out of torch.compile"]
    _refuse_compiled(network, option)
    _refuse_elsewhere(network, option)
    return network, tuple(notes)


def _refuse_compiled(network: nn.Module, option: str) -> None:
    compiled = [
        path or "the network"
        for path, module in network.named_modules()
        if isinstance(module, torch.jit.ScriptModule) or module._compiled_call_impl is not None
    ]
    if compiled:
        raise InputError(
            f"{option}: compiled, got {_some(compiled)}, expected modules in Python",
            notes=["what a compiled module computes cannot be watched operation by operation"],
            help="hand over the network from before it was compiled or scripted",
        )


def _refuse_elsewhere(network: nn.Module, option: str) -> None:
    tensors = (*network.named_parameters(), *network.named_buffers())
    lazy = [name for name, tensor in tensors if is_lazy(tensor)]
    if lazy:
        raise InputError(
            f"{option}: lazy modules have no shapes yet, got {_some(lazy)}, expected parameters",
            help="run it once before: model(torch.zeros(1, 3, 224, 224))",
        )
    other = [
        f"{name} ({str(tensor.dtype).removeprefix('torch.')} on {tensor.device.type})"
        for name, tensor in tensors
        if tensor.device.type != "cpu" or (tensor.is_floating_point() and tensor.dtype is not torch.float32)
    ]
    if other:
        raise InputError(
            f"{option}: cannot be judged where it is, got {_some(other)}, expected float32 on the CPU",
            help="hand over a copy: copy.deepcopy(network).cpu().float()",
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
