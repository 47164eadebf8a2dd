"""Fingerprints of tensors that do not depend on how they lie, and the tensors of a network by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from layerdiff.compare.trace import Array

__all__ = ["Fingerprint", "Named", "Pool", "fingerprint", "pool_of"]

Fingerprint = tuple[int, int, int]
"""How many values a tensor has, and two sums over their bits: equal for tensors of the same values in any order."""


@dataclass(frozen=True)
class Named:
    """A tensor of the expected network.

    Attributes:
        layer: id of the operation that has it.
        role: weight, bias, running_mean or running_var.
        array: its values.
    """

    layer: str
    role: str
    array: Array = field(repr=False)


class Pool:
    """All tensors of a network, found by their values whatever their order.

    Args:
        weights: parameters by layer id and role.
    """

    def __init__(self, weights: Mapping[str, Mapping[str, Array]]) -> None:
        self._found: dict[Fingerprint, list[Named]] = {}
        self._shapes: dict[tuple[int, ...], list[Named]] = {}
        self._known: dict[int, Fingerprint] = {}
        for layer, parameters in weights.items():
            for role, array in parameters.items():
                one = Named(layer, role, array)
                self._shapes.setdefault(array.shape, []).append(one)
                if is_telling(array):
                    self._known[id(array)] = fingerprint(array)
                    self._found.setdefault(self._known[id(array)], []).append(one)

    def fingerprint(self, array: Array) -> Fingerprint | None:
        """The fingerprint of any array, at once for those in the pool; None for a constant, which tells nothing."""
        known = self._known.get(id(array))
        return known or (fingerprint(array) if is_telling(array) else None)

    def same_values(self, values: Fingerprint | None) -> list[Named]:
        """Those that have the values of this fingerprint, in whichever order."""
        return [] if values is None else self._found.get(values, [])

    def of_shape(self, shape: tuple[int, ...]) -> list[Named]:
        """Those of one shape."""
        return self._shapes.get(shape, [])


def pool_of(weights: Mapping[str, Mapping[str, Array]]) -> Pool:
    """The pool of a network, made once for each mapping that is given."""
    return _pool(_Itself(weights))


def fingerprint(array: Array) -> Fingerprint:
    """The number of values and two sums over their bits in float32: a permutation of an array has the same.

    float32, since that is what weights are kept in; a float64 copy of them has the same fingerprint.
    """
    # Adding zero makes -0.0 and 0.0 the same bits.
    bits = (np.ascontiguousarray(array, dtype=np.float32).reshape(-1) + np.float32(0)).view(np.uint32)
    # A second sum, over something that is not linear in the bits: products wrap around.
    mixed = bits * (bits >> np.uint32(13) | np.uint32(1))
    return array.size, int(bits.sum(dtype=np.uint64)), int(mixed.sum(dtype=np.uint64))


def is_telling(array: Array) -> bool:
    """Whether an array has two different values: all zeros of one size are the same tensor to everybody."""
    if array.size < 2:
        return False
    flat = array.reshape(-1)
    return bool((flat[:64] != flat[0]).any() or (flat != flat[0]).any())


class _Itself:
    """A mapping that is equal to itself alone."""

    def __init__(self, weights: Mapping[str, Mapping[str, Array]]) -> None:
        self.weights = weights

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.weights is other.weights

    def __hash__(self) -> int:
        return id(self.weights)


@lru_cache(maxsize=2)
def _pool(itself: _Itself) -> Pool:
    return Pool(itself.weights)
