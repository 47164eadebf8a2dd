"""All plantings: every fault, spread over hosts and places, always the same."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from .convolution import CONVOLUTION
from .equivalents import EQUIVALENTS
from .further import FURTHER
from .hosts import HOSTS, MAIN
from .inputs import INPUTS
from .loading import LOADING
from .model import Fault, Planting
from .normalisation import NORMALISATION
from .numpy_twin import NUMPY
from .pooling import POOLING
from .structure import STRUCTURE

__all__ = ["FAULTS", "equivalents", "plantings"]

FAULTS: tuple[Fault, ...] = (
    *STRUCTURE, *CONVOLUTION, *NORMALISATION, *POOLING, *LOADING, *INPUTS, *FURTHER, *NUMPY, *EQUIVALENTS,
)  # fmt: skip


def _generator(fault: Fault) -> np.random.Generator:
    name = f"{fault.code}-{fault.name}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest()[:4], "big"))


def spread(fault: Fault) -> list[Planting]:
    """The plantings of one fault: one host after the other, a place in each."""
    generator = _generator(fault)
    names = fault.hosts or tuple(name for name in MAIN if name not in fault.not_hosts)
    places = {name: list(fault.places(HOSTS[name])) for name in names}
    names = tuple(name for name in names if places[name])
    # A ResNet-50 shows little that a ResNet-18 does not, and takes three times as long.
    weights = np.array([0.4 if HOSTS[name].expected == "resnet50" else 1.0 for name in names])
    names = list(generator.choice(names, len(names), replace=False, p=weights / weights.sum()))
    found: list[Planting] = []
    while len(found) < fault.count and names:
        for name in list(names):
            if len(found) == fault.count:
                break
            place = places[name].pop(int(generator.integers(len(places[name]))))
            found.append(Planting(fault, str(name), place))
            if not places[name]:
                names.remove(name)
    return found


@cache
def everything() -> tuple[Planting, ...]:
    """Every planting, equivalent or not."""
    return tuple(planting for fault in FAULTS for planting in spread(fault))


def plantings() -> tuple[Planting, ...]:
    """The plantings of faults."""
    return tuple(one for one in everything() if not one.fault.equivalent)


def equivalents() -> tuple[Planting, ...]:
    """The plantings that change nothing."""
    return tuple(one for one in everything() if one.fault.equivalent)
