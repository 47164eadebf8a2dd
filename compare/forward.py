"""A forward pass that nobody watches: what a network gives, and nothing of how."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["forward"]


def forward(network: Any, x: Array) -> Array | None:
    """What `network` gives for `x`; None where that is not one array.

    Its buffers and torch's random state are afterwards as they were.

    Args:
        network: a `torch.nn.Module`, or a NumPy network; see `capture`.
        x: (n, c, h, w) float32; stays as it is.

    Raises:
        Exception: whatever the network raises.
    """
    if hasattr(network, "named_modules"):
        # torch only where a torch network runs: a NumPy network is judged without it.
        from layerdiff.compare.torch_forward import forward_torch

        return forward_torch(network, x)
    with np.errstate(all="ignore"):
        output = network(x.copy())
    return np.array(output) if isinstance(output, np.ndarray) else None
