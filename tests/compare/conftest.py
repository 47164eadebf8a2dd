"""Small networks to judge."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(
        0, HERE
    )  # for made_runs.py: a test imports it, and in importlib mode no test's folder is on the path


def trained_looking(network: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms away from their defaults, so that no parameter is hidden by being 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0, (2 / module.weight[0].numel()) ** 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.2, 0.6, generator=generator)
            module.weight.data[::5] *= -1
            module.bias.data.normal_(0.1, 0.1, generator=generator)
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.01, 1.5, generator=generator)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def _resnet() -> nn.Module:
    network = trained_looking(resnet18())
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return network


@pytest.fixture
def make_resnet(_resnet: nn.Module) -> Callable[[], Any]:
    """Makes equal ResNet-18s, each its own to break."""
    return lambda: copy.deepcopy(_resnet)


@pytest.fixture(scope="session")
def x() -> Any:
    """One small image, (1, 3, 65, 49) float32."""
    return np.random.default_rng(3).standard_normal((1, 3, 65, 49)).astype(np.float32)
