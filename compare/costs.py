"""What a network costs: parameters, buffers and multiply-adds, of each operation and in total, exactly.

The convention is the one by which torchvision publishes its figures: multiply-adds are those of convolutions and linear
layers, without the bias; nothing else is counted. One multiply-add is two floating-point operations. A parameter counts
once however often it is used, a multiply-add each time it is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from math import prod
from typing import Any

from layerdiff.compare.structure import Structure
from layerdiff.compare.trace import Op

__all__ = ["CONVENTION", "Cost", "Totals", "costs_of", "macs_of", "other_names", "totals_of"]

CONVENTION = (
    "multiply-adds are those of convolutions and linear layers, bias not counted, as torchvision publishes them; "
    "one multiply-add is two FLOPs; batch counters are not counted among the buffers"
)

_COUNTED = frozenset({"conv2d", "linear"})
_BUFFERS = frozenset({"running_mean", "running_var"})
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Cost:
    """What one operation costs.

    Attributes:
        parameters: numbers that are learnt, if no operation before it holds the same ones.
        buffers: running statistics, likewise.
        macs: multiply-adds.
    """

    parameters: int = 0
    buffers: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        """The cost of both."""
        return Cost(self.parameters + other.parameters, self.buffers + other.buffers, self.macs + other.macs)


@dataclass(frozen=True)
class Totals:
    """What a whole network costs for one input.

    Attributes:
        parameters: numbers in all parameters that the network has registered, used or not.
        buffers: the same for its buffers, without batch counters.
        macs: multiply-adds of one forward pass, as far as it came.
        flops: twice that.
        unused: names of registered parameters and buffers that took no part in the forward pass.
        unused_parameters: how many numbers those parameters hold.
        unregistered: numbers in parameters that took part and are not registered: no optimiser, no state dict and no
            `.to()` knows of them.
        shared: names under which a tensor that is counted already is held once more.
        uncounted: ids of operations with a matrix or kernel of their own that the convention does not count.
    """

    parameters: int
    buffers: int
    macs: int
    flops: int
    unused: tuple[str, ...] = ()
    unused_parameters: int = 0
    unregistered: int = 0
    shared: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()


def macs_of(op: Op) -> int:
    """Multiply-adds of one operation: each weight of a convolution or linear layer is used once per output position.

    The way the weight lies in memory does not matter, nor does where the output has its channels.
    """
    weight = op.parameters.get("weight")
    if op.kind not in _COUNTED or weight is None or not op.shape:
        return 0
    # An output of (n, h, w, c) has its channels last; a linear layer's always are.
    last = op.kind == "linear" or len(op.shape) < 2 or op.shape[1] not in weight.shape
    channels = op.shape[-1] if last else op.shape[1]
    return prod(op.shape) // max(channels, 1) * int(weight.size)


def costs_of(structure: Structure) -> dict[str, Cost]:
    """The cost of every operation, by its id."""
    seen: set[object] = set()
    return {op.layer: _cost(op, structure, seen) for op in structure.ops}


def other_names(network: Any) -> frozenset[str]:
    """Names in a torch network's state dict for tensors that have a name there already; none for other networks."""
    if not hasattr(network, "named_parameters"):
        return frozenset()
    first = {key for key, _ in (*network.named_parameters(), *network.named_buffers())}
    return frozenset(network.state_dict()) - first


def totals_of(structure: Structure, shared: Set[str] = frozenset()) -> Totals:
    """What the whole network costs.

    Args:
        structure: of the network.
        shared: its `other_names`.
    """
    counted = {
        key: prod(shape) for key, shape in structure.tensors.items() if not key.endswith(_COUNTER) and key not in shared
    }
    seen: set[object] = set()
    unregistered = sum(_numbers(op, structure, seen, registered=False) for op in structure.ops)
    macs = sum(macs_of(op) for op in structure.ops)
    unused = () if structure.crash else tuple(key for key in counted if key not in structure.used)
    # Where a network keeps no names for the tensors it uses, none can be called unused.
    named = bool(structure.used) or not structure.tensors
    return Totals(
        parameters=sum(count for key, count in counted.items() if key in structure.parameters),
        buffers=sum(count for key, count in counted.items() if key not in structure.parameters),
        macs=macs,
        flops=2 * macs,
        unused=unused if named else (),
        unused_parameters=sum(counted[key] for key in unused if key in structure.parameters) if named else 0,
        unregistered=unregistered if named else 0,
        shared=tuple(key for key in structure.tensors if key in shared and not key.endswith(_COUNTER)),
        uncounted=tuple(op.layer for op in structure.ops if _is_uncounted(op)),
    )


def _cost(op: Op, structure: Structure, seen: set[object]) -> Cost:
    found = {"parameters": 0, "buffers": 0}
    for role, identity, count in _tensors(op, structure.tensors):
        if identity not in seen:
            seen.add(identity)
            found["buffers" if _is_buffer(role, identity, structure) else "parameters"] += count
    return Cost(**found, macs=macs_of(op))


def _numbers(op: Op, structure: Structure, seen: set[object], *, registered: bool) -> int:
    total = 0
    for role, identity, count in _tensors(op, structure.tensors):
        if identity not in seen and (identity in structure.tensors) is registered and role not in _BUFFERS:
            total += count
        seen.add(identity)
    return total


def _tensors(op: Op, registered: Mapping[str, tuple[int, ...]]) -> list[tuple[str, object, int]]:
    """The role, the identity and the size of each tensor an operation holds."""
    found: list[tuple[str, object, int]] = []
    for role, array in op.parameters.items():
        key = op.keys.get(role)
        if key is not None and key in registered:
            # What is used may be a view of it, or made of it.
            found.append((role, key, prod(registered[key])))
        else:
            found.append((role, (array.__array_interface__["data"][0], array.shape), int(array.size)))
    return found


def _is_buffer(role: str, identity: object, structure: Structure) -> bool:
    if identity in structure.tensors:
        return identity not in structure.parameters
    return role in _BUFFERS


def _is_uncounted(op: Op) -> bool:
    weight = op.parameters.get("weight")
    return op.kind not in _COUNTED and weight is not None and weight.ndim >= 2
