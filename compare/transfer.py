"""Transfer: the expected network's weights carried over into a candidate whose tensors have other names and layouts.

What goes where is proposed from names or, where those say nothing, from the alignment of both networks' data flow; two
tensors of one shape are told apart by where they are used. Whether the proposal is right, the judge shows: every layer
is run with what it got.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from layerdiff.compare.folding import roles_by_name
from layerdiff.compare.layouts import Axes, fitting, laid_out, layout_between, name_of
from layerdiff.compare.pairs import Alignment, Pair
from layerdiff.compare.trace import Array, Op
from layerdiff.errors import InputError

__all__ = ["BY_NAME", "Carried", "Transfer", "by_names", "propose", "transferred"]

BY_NAME = "the same name"
"""The reason of what was carried over to its namesake."""

_UNTOUCHED = "num_batches_tracked"


@dataclass(frozen=True)
class Carried:
    """One tensor of the expected network and its place in the candidate.

    Attributes:
        expected: its name in the expected network's state dict.
        actual: its name in the candidate's.
        axes: the order of the expected tensor's axes in the candidate; None where it lies as it is.
        reason: why it goes there.
    """

    expected: str
    actual: str
    axes: Axes | None = None
    reason: str = ""


@dataclass(frozen=True)
class Transfer:
    """Where every tensor goes, and which are left over on either side.

    Attributes:
        carried: one for each tensor that has a place.
        zeroed: the candidate's biases that the expected network does not have; they are set to zero.
        unplaced: the expected network's tensors without a place.
        unfilled: tensors that the candidate uses, and for which nothing was found; they stay as they are.
        unused: tensors that the candidate holds and never uses; they stay as they are.
        suspicions: what may be wrong, in words.
    """

    carried: tuple[Carried, ...]
    zeroed: tuple[str, ...] = ()
    unplaced: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    suspicions: tuple[str, ...] = field(default=())


def by_names(expected: Mapping[str, Array], actual: Mapping[str, Array]) -> Transfer | None:
    """The transfer by equal names; None unless every expected tensor has its namesake of the same shape there."""
    names = [name for name in expected if not name.endswith(_UNTOUCHED)]
    if any(name not in actual or actual[name].shape != expected[name].shape for name in names):
        return None
    return Transfer(tuple(Carried(name, name, None, BY_NAME) for name in names))


def propose(
    expected: Mapping[str, Array], actual: Mapping[str, Array], alignment: Alignment, used: frozenset[str]
) -> Transfer:
    """Where each of the expected network's tensors goes in the candidate.

    Args:
        expected: the expected network's tensors, by name.
        actual: the candidate's, by name, with whatever values they have; two names of one tensor share its memory.
        alignment: of both networks' operations.
        used: names of the candidate's tensors that took part in its forward pass.
    """
    if (named := by_names(expected, actual)) is not None:
        return _completed(named, expected, actual, used)
    carried: list[Carried] = []
    zeroed: list[str] = []
    suspicions: list[str] = []
    filled: dict[str, str] = {}
    placed: set[str] = set()
    for pair in alignment.pairs:
        for role, source in _expected_roles(pair):
            if source in placed or source not in expected:
                continue
            found = _place(pair, role, expected[source], actual)
            if found is None:
                continue
            target, axes = found
            if target in filled:
                suspicions.append(f"{source} and {filled[target]} both belong into {target}: is one layer used twice?")
                continue
            if axes is not None and not axes:
                suspicions.append(
                    f"{source} {expected[source].shape} does not fit into {target} {actual[target].shape}"
                )
                continue
            filled[target] = source
            placed.add(source)
            carried.append(Carried(source, target, axes, pair.reason))
        zeroed += _biases_too_many(pair, filled)
    transfer = Transfer(tuple(carried), tuple(dict.fromkeys(zeroed)), suspicions=tuple(suspicions))
    return _completed(transfer, expected, actual, used)


def _completed(
    transfer: Transfer, expected: Mapping[str, Array], actual: Mapping[str, Array], used: frozenset[str]
) -> Transfer:
    """The transfer with all that is left over on either side."""
    places = {one.actual for one in transfer.carried} | set(transfer.zeroed)
    sources = {one.expected for one in transfer.carried}
    same = _aliases(actual)
    taken = {alias for name in places for alias in same[name]}
    running = {alias for name in used if name in same for alias in same[name]}
    rest = [name for name in actual if name not in taken and not name.endswith(_UNTOUCHED)]
    unfilled = [name for name in rest if name in running]
    # A bias beyond what the expected network has changes nothing once it is zero.
    zeroed = [name for name in unfilled if name.endswith(".bias") and name[:-4] + "weight" in places]
    return Transfer(
        carried=transfer.carried,
        zeroed=(*transfer.zeroed, *zeroed),
        unplaced=tuple(name for name in expected if name not in sources and not name.endswith(_UNTOUCHED)),
        unfilled=tuple(name for name in unfilled if name not in zeroed),
        unused=tuple(name for name in rest if name not in running),
        suspicions=transfer.suspicions,
    )


def _expected_roles(pair: Pair) -> list[tuple[str, str]]:
    return [(role, key) for op in pair.expected for role, key in op.keys.items()]


def _place(pair: Pair, role: str, tensor: Array, actual: Mapping[str, Array]) -> tuple[str, Axes | None] | None:
    """The candidate's tensor for `role`, and the order of axes; an empty order where it does not fit."""
    kinds = {op.kind for op in pair.expected if role in op.keys}
    holders = [op for op in pair.actual if op.keys]
    alone = [op for op in holders if op.kind in kinds and role in op.keys]
    if alone:
        op = alone[0]
        key = op.keys[role]
        return (key, _axes(op, role, tensor, actual[key])) if key in actual else None
    # Arithmetic that makes a layer: what each tensor is for, its name must say.
    keys = list(dict.fromkeys(key for op in holders for key in op.keys.values() if key in actual))
    roles = roles_by_name({key.rpartition(".")[2]: actual[key].shape for key in keys})
    for key in keys:
        if roles.get(key.rpartition(".")[2]) == role:
            return key, _fit(tensor, actual[key])
    return None


def _axes(op: Op, role: str, tensor: Array, raw: Array) -> Axes | None:
    effective = op.parameters.get(role)
    if raw.shape == tensor.shape and (effective is None or _is_view_of(effective, raw) or raw.ndim < 2):
        return None
    if effective is not None and effective.shape == tensor.shape:
        # The network says itself how it lays its weight out: it made this one out of that.
        found = layout_between(effective, raw)
        if found is not None:
            return None if found == tuple(range(tensor.ndim)) and raw.shape == tensor.shape else found
    return _fit(tensor, raw)


def _is_view_of(array: Array, other: Array) -> bool:
    """Whether both are the same numbers in the same places of memory."""
    one, two = array.__array_interface__, other.__array_interface__
    return one["data"] == two["data"] and array.shape == other.shape and array.strides == other.strides


def _fit(tensor: Array, raw: Array) -> Axes | None:
    if raw.shape == tensor.shape:
        return None
    return (fitting(tensor.shape, raw.shape) or [()])[0]


def _biases_too_many(pair: Pair, filled: Mapping[str, str]) -> Iterator[str]:
    """Biases of the candidate's products where the expected one has none."""
    if not any(op.kind in {"conv2d", "linear"} for op in pair.expected):
        return
    if any("bias" in op.keys for op in pair.expected if op.kind in {"conv2d", "linear"}):
        return
    for op in pair.actual:
        key = op.keys.get("bias")
        if key is not None and key not in filled and op.kind in {"conv2d", "linear", "shift"}:
            yield key


def _aliases(tensors: Mapping[str, Array]) -> dict[str, list[str]]:
    """For each name all names of the same memory."""
    at: dict[tuple[int, tuple[int, ...]], list[str]] = defaultdict(list)
    for name, array in tensors.items():
        at[(array.__array_interface__["data"][0], array.shape)].append(name)
    return {name: at[(array.__array_interface__["data"][0], array.shape)] for name, array in tensors.items()}


@contextmanager
def transferred(transfer: Transfer, expected: Mapping[str, Array], actual: Mapping[str, Array]) -> Iterator[None]:
    """The candidate has the expected network's weights meanwhile, and its own again afterwards.

    Args:
        transfer: what goes where.
        expected: the expected network's tensors.
        actual: the candidate's own memory, by name.

    Raises:
        InputError: a tensor is not there, or does not fit; all of them are named.
    """
    _check(transfer, expected, actual)
    changed = [one.actual for one in transfer.carried] + list(transfer.zeroed)
    own = {name: actual[name].copy() for name in changed}
    try:
        for one in transfer.carried:
            tensor, place = expected[one.expected], actual[one.actual]
            place[...] = tensor if one.axes is None else laid_out(tensor, one.axes, place.shape)
        for name in transfer.zeroed:
            actual[name][...] = 0
        yield
    finally:
        for name, values in own.items():
            actual[name][...] = values


def _check(transfer: Transfer, expected: Mapping[str, Array], actual: Mapping[str, Array]) -> None:
    wrong = []
    for one in transfer.carried:
        if one.expected not in expected:
            wrong.append(f"the expected network has no {one.expected}")
        elif one.actual not in actual:
            wrong.append(f"the candidate has no {one.actual}")
        else:
            want, have = expected[one.expected].shape, actual[one.actual].shape
            axes = one.axes if one.axes is not None else tuple(range(len(want)))
            fits = sorted(axes) == list(range(len(want))) and int(np.prod(want)) == int(np.prod(have))
            if not fits or (one.axes is None and want != have):
                wrong.append(f"{one.expected} {want} does not fit into {one.actual} {have} as {name_of(axes)}")
    wrong += [f"the candidate has no {name}" for name in transfer.zeroed if name not in actual]
    if wrong:
        raise InputError(
            f"weights: {len(wrong)} of {len(transfer.carried)} tensors cannot be carried over, the first: {wrong[0]}",
            notes=wrong[1:20],
        )
