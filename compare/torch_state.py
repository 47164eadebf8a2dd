"""What a torch network holds: put aside while it is looked at, and put back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["buffers_restored", "gradients_on", "on_meta", "random_state"]


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
    """The network's buffers are afterwards the tensors that they were, with the values that they had."""
    saved = [
        (module._buffers, name, buffer, None if buffer is None or buffer.is_meta else buffer.clone())
        for module in network.modules()
        for name, buffer in module._buffers.items()
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffers, name, buffer, values in saved:
                buffers[name] = buffer
                if buffer is not None and values is not None:
                    buffer.copy_(values)


@contextlib.contextmanager
def gradients_on(network: nn.Module) -> Iterator[None]:
    """Gradients are switched on, so that a network can be seen to switch them off.

    No parameter requires one meanwhile: nothing is kept for a way back, and what works without gradients still does.
    """
    required = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in required:
        parameter.requires_grad_(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        for parameter in required:
            parameter.requires_grad_(True)


def random_state() -> tuple[object, ...]:
    """The state of the random generators of torch, NumPy and Python: equal to an earlier one if nothing was drawn."""
    numpy_state = np.random.get_state(legacy=True)  # noqa: NPY002 - it is the network that uses it
    return (torch.random.get_rng_state().numpy().tobytes(), repr(numpy_state), random.getstate())
