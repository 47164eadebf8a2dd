"""A forward pass of a torch network that nobody watches; see `forward`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from layerdiff.compare.torch_facts import array_of
from layerdiff.compare.torch_state import buffers_restored
from layerdiff.compare.trace import Array

__all__ = ["forward_torch"]


def forward_torch(network: nn.Module, x: Array) -> Array | None:
    """What `network` gives for a copy of `x`; None where that is not one tensor with values.

    Raises:
        Exception: whatever the network raises.
    """
    with buffers_restored(network), torch.random.fork_rng(devices=[]), torch.no_grad():
        output = network(torch.from_numpy(x.copy()))
        # Before the buffers are put back: what is returned may be one of them.
        return array_of(output).copy() if isinstance(output, Tensor) and not output.is_meta else None
