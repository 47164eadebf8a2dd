"""What a fault, a planting of it and the truth about it are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .hosts import Host

__all__ = ["Fault", "Planting", "Truth", "exactly", "within"]


@dataclass(frozen=True)
class Truth:
    """One right answer to the question which layers are at fault.

    Attributes:
        must: ids of expected layers that must be named.
        one_of: of each of these sets at least one must be named; which, is a matter of view.
        output: whether nothing but what the network returns is wrong.
        beside: layers that are right and that a cause may name all the same: what is wrong lies behind them.
    """

    must: frozenset[str]
    one_of: tuple[frozenset[str], ...] = ()
    output: bool = False
    beside: frozenset[str] = frozenset()

    @property
    def layers(self) -> frozenset[str]:
        """All layers that a cause may name."""
        return self.beside.union(self.must, *self.one_of)

    def fits(self, named: frozenset[str]) -> bool:
        """Whether exactly the right layers were named."""
        allowed = self.must.union(*self.one_of)
        return self.must <= named <= allowed and all(group & named for group in self.one_of)


def exactly(*layers: str) -> tuple[Truth, ...]:
    """These layers and no others."""
    return (Truth(frozenset(layers)),)


def within(*layers: str) -> tuple[Truth, ...]:
    """Some of these layers and no others: which, is a matter of view."""
    return (Truth(frozenset(), (frozenset(layers),)),)


Truths = tuple[Truth, ...]


@dataclass(frozen=True)
class Fault:
    """An operator: how a fault is planted in a correct network, where, and what is then true.

    Attributes:
        code: the class in the catalogue of bugs.
        name: of this writing of it.
        title: in a line.
        plant: changes an `Edit` (of a NumPy host: the network itself) at a place.
        places: the places in a host where it applies; each is an id of an expected layer, or of a block.
        truths: all right answers for a planting at a place.
        causes: the codes that are right; more than one where the mutant truly is the same thing.
        also: the codes of findings that tell a part of it: right beside a right cause, and not without one.
        why_causes: the reason, where there are several.
        keep: whether the candidate keeps its weights, because they are what is wrong.
        equivalent: whether the mutant computes the same function as the network it was made from.
        hosts: names of the only hosts for it; empty for all ResNets in torch.
        not_hosts: names of hosts in which it cannot be planted.
        count: how many plantings of it are wanted.
        size: of the picture.
        batch: how many pictures.
        prepare: for a fault before the network: the candidate's own preprocessing, from a PIL image.
    """

    code: str
    name: str
    title: str
    plant: Callable[[Any, str], Any]
    places: Callable[[Host], Sequence[str]]
    truths: Callable[[Host, str], Truths] = field(default=lambda host, place: exactly(place))
    causes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    why_causes: str = ""
    keep: bool = False
    equivalent: bool = False
    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    count: int = 3
    size: tuple[int, int] = (64, 64)
    batch: int = 1
    prepare: Callable[[Any], np.ndarray[Any, Any]] | None = None

    @property
    def accepted(self) -> tuple[str, ...]:
        """The codes of right causes."""
        return self.causes or (self.code,)


@dataclass(frozen=True)
class Planting:
    """One fault at one place of one network."""

    fault: Fault
    host: str
    place: str

    @property
    def id(self) -> str:
        """By which it is called, such as `C1-eps-1e-3@torchvision18@layer2.0.bn1`."""
        return f"{self.fault.code}-{self.fault.name}-{self.host}-{self.place}"
