"""What a torch network holds: put aside while it is looked at, and put back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["buffers_restored", "on_meta"]


@contextlib.contextmanager
def on_meta(network: nn.Module) -> Iterator[None]:
    """Every parameter and buffer of the network is a meta tensor meanwhile, and what it was afterwards."""
    held: list[tuple[Any, str, Tensor]] = []
    made: dict[int, Tensor] = {}
    for module in network.modules():
        owned: tuple[Any, ...] = (module._parameters, module._buffers)
        for tensors in owned:
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                held.append((tensors, name, tensor))
                # A tensor that is shared stays shared.
                if id(tensor) not in made:
                    meta = torch.empty_like(tensor, device="meta")
                    made[id(tensor)] = nn.Parameter(meta, False) if isinstance(tensor, nn.Parameter) else meta
                tensors[name] = made[id(tensor)]
    try:
        yield
    finally:
        for tensors, name, tensor in held:
            tensors[name] = tensor


@contextlib.contextmanager
def buffers_restored(network: nn.Module) -> Iterator[None]:
    """The network's buffers are afterwards what they were."""
    saved = {name: buffer.clone() for name, buffer in network.named_buffers() if not buffer.is_meta}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in network.named_buffers():
                if name in saved:
                    buffer.copy_(saved[name])
