"""Two faults in one network: pairs drawn from a seed, always the same."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from .hosts import expected_side, host
from .judging import planted, truths_of
from .model import Planting
from .plan import plantings

__all__ = ["COUNT", "pair"]

COUNT = 50

Pair = tuple[Planting, Planting]


def part(layer: str) -> str:
    """Where in the network a layer is: a block, the stem, the head, or the input."""
    if layer.startswith("layer"):
        return ".".join(layer.split(".")[:2])
    return {"input": "input", "fc": "head", "avgpool": "head", "flatten": "head"}.get(layer, "stem")


def parts(planting: Planting) -> frozenset[str]:
    """All parts that a planting may touch."""
    return frozenset(part(layer) for truth in truths_of(planting) for layer in truth.layers)


def apart(one: Planting, other: Planting) -> bool:
    """Whether two faults are of different classes, on the same input, in parts that are not the same."""
    same_input = (one.fault.size, one.fault.batch) == (other.fault.size, other.fault.batch)
    classes = {one.fault.accepted, other.fault.accepted}
    return same_input and len(classes) == 2 and not parts(one) & parts(other)


def runs(pair: Pair) -> bool:
    """Whether the network with both faults gives finite numbers of the right shape."""
    one = pair[0]
    side = expected_side(host(one.host).expected, one.fault.size, one.fault.batch)
    network = planted(*pair)
    try:
        with torch.no_grad():
            given: Any = network(side.x if host(one.host).numpy else torch.from_numpy(side.x))
    except Exception:
        return False
    values = np.asarray(given)
    return values.shape[0] == len(side.x) and bool(np.isfinite(values).all())


@cache
def _by_host() -> dict[str, list[Planting]]:
    found: dict[str, list[Planting]] = {}
    for one in plantings():
        if host(one.host).expected in {"resnet18", "resnet50"} and one.place != "all":
            found.setdefault(one.host, []).append(one)
    return dict(sorted(found.items()))


@cache
def pair(number: int) -> Pair:
    """One of the pairs, from 0."""
    generator = np.random.default_rng((50, number))
    those = list(_by_host().values())[number % len(_by_host())]
    while True:
        first, second = (those[int(i)] for i in generator.choice(len(those), 2, replace=False))
        if apart(first, second) and runs((first, second)):
            return first, second
