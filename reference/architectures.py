"""torchvision's own ResNets: which there are, what tensors they hold, and what torchvision publishes of them."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from layerdiff.errors import InputError

__all__ = [
    "ARCHITECTURES",
    "blank_network",
    "categories",
    "check_name",
    "expected_tensors",
    "full_state_dict",
    "weights_record",
]

ARCHITECTURES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "wide_resnet50_2",
    "resnext50_32x4d",
)

# torch counts the batches it has trained on; inference never reads it.
_COUNTER = "num_batches_tracked"


def blank_network(name: str) -> nn.Module:
    """Builds torchvision's network `name` on torch's meta device: every shape and no values, in milliseconds.

    Raises:
        InputError: no such architecture.
    """
    check_name(name)
    return copy.deepcopy(_blank(name))


@lru_cache
def _blank(name: str) -> nn.Module:
    # A copy takes a third of the time: torch draws weights even where there is no memory to put them.
    with torch.device("meta"):
        network: nn.Module = get_model(name, weights=None)
    return network


def expected_tensors(name: str) -> dict[str, tuple[int, ...]]:
    """Lists the float32 tensors of network `name` in torchvision's order: parameters and running statistics.

    Returns:
        Name to shape, such as `{"conv1.weight": (64, 3, 7, 7), ...}`, without `num_batches_tracked`.

    Raises:
        InputError: no such architecture.
    """
    check_name(name)
    return {key: shape for key, shape in _shapes(name) if not key.endswith(_COUNTER)}


@lru_cache
def _shapes(name: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((key, tuple(value.shape)) for key, value in _blank(name).state_dict().items())


def full_state_dict(name: str, state: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    """Copies `state` into the tensors that a strict load of network `name` asks for, dtype kept.

    Tensors that `state` lacks are filled with NaN, the batch counters with zero.

    Raises:
        InputError: no such architecture.
    """
    check_name(name)
    full: dict[str, torch.Tensor] = {}
    for key, shape in _shapes(name):
        if key.endswith(_COUNTER):
            full[key] = torch.zeros((), dtype=torch.long, device="cpu")
        elif key in state:
            full[key] = torch.tensor(state[key], device="cpu")
        else:
            full[key] = torch.full(shape, torch.nan, dtype=torch.float32, device="cpu")

    return full


def weights_record(name: str, version: str) -> WeightsEnum:
    """Returns torchvision's record of the published weights: URL, preprocessing, categories, accuracy.

    Args:
        name: one of `ARCHITECTURES`.
        version: `imagenet1k_v1` or `imagenet1k_v2`, in any case.

    Raises:
        InputError: no such architecture, or it has no such version.

    Source:
        torchvision.models.WeightsEnum.
    """
    check_name(name)
    # by going through them, which leaves out DEFAULT, another name for one that may change
    records = {record.name.lower(): record for record in get_model_weights(name)}
    if version.lower() not in records:
        known = " or ".join(records)
        raise InputError(f"{name}: torchvision publishes no such weights, got {version!r}, expected {known}")

    return records[version.lower()]


def categories(name: str) -> tuple[str, ...]:
    """Names the classes of network `name` in the order of its logits, `("tench", "goldfish", ...)`.

    Raises:
        InputError: no such architecture.
    """
    return tuple(weights_record(name, "imagenet1k_v1").meta["categories"])


def check_name(name: str) -> None:
    """Refuse what is not one of `ARCHITECTURES`.

    Raises:
        InputError: no such architecture; names the nearest.
    """
    if name in ARCHITECTURES:
        return
    near = difflib.get_close_matches(name.lower(), ARCHITECTURES, n=1)
    raise InputError(
        f"architecture: no such network, got {name!r}, expected one of {', '.join(ARCHITECTURES)}",
        help=f"did you mean {near[0]}?" if near else None,
    )
