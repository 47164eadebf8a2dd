"""torchvision's own networks, built and loaded."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import get_model

from layerdiff.errors import InputError
from layerdiff.reference.architectures import blank_network, check_name, full_state_dict
from layerdiff.reference.weights import Weights

__all__ = ["torchvision_model"]


def torchvision_model(name: str, weights: Weights | None = None, *, seed: int = 0) -> nn.Module:
    """Builds torchvision's network `name` in evaluation mode, holding its own copy of `weights`.

    Every ReLU is set not in place, so that what a hook sees stays what it was, and no parameter asks for a gradient.
    The tensors are loaded strictly; those a partial text dump lacks hold NaN, so that any use of them shows.

    Args:
        name: one of `ARCHITECTURES`.
        weights: what `load_weights` gave for this architecture; without it, torchvision's own random
            initialisation, the same on every call, and torch's generator is left as it was.
        seed: of that initialisation.

    Returns:
        The network: float32, (n, 3, h, w) in, (n, 1000) out.

    Raises:
        InputError: no such architecture, or `weights` are another's.

    Source:
        torchvision.models.resnet.
    """
    if weights is None:
        check_name(name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network: nn.Module = get_model(name, weights=None)
    else:
        network = blank_network(name)
        if weights.architecture != name:
            raise InputError(
                f"torchvision_model: the weights are another network's, got {weights.architecture}, expected {name}"
            )
        network.load_state_dict(full_state_dict(name, weights.state), strict=True, assign=True)
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False

    return network.eval().requires_grad_(False)
