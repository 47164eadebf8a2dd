"""The record of one forward pass: operations in the order they ran, each of which can be run again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from layerdiff.errors import InputError

__all__ = ["INPUT", "Array", "Namer", "Op", "OwnBackward", "Pull", "Pulled", "Trace", "digest", "is_within", "upto"]

Array: TypeAlias = NDArray[Any]

INPUT = "input"
"""The id by which operations refer to the network's input."""


@dataclass(frozen=True)
class Pulled:
    """The gradients of what one operation took, for a gradient of what it gave.

    Attributes:
        inputs: one for each input, of its shape; None where none flows.
        parameters: of the network's own tensors that took part, by name in the state dict; those that none flows to
            are left out.
    """

    inputs: tuple[Array | None, ...]
    parameters: Mapping[str, Array] = field(repr=False)


Pull = Callable[[Sequence[Array], Array], Pulled]
"""Takes the inputs' arrays and the gradient of the output; computes in the inputs' dtype, whichever float that is."""


@dataclass(frozen=True)
class OwnBackward:
    """A backward that somebody wrote for one operation, or for several at once.

    Attributes:
        name: of the class.
        layers: ids of the operations that it goes back through, in order.
        inputs: ids of what these take from outside.
        pull: its vector-Jacobian product, from the gradient of the last one's output to those of `inputs`.
    """

    name: str
    layers: tuple[str, ...]
    inputs: tuple[str, ...]
    pull: Pull = field(repr=False)


@dataclass(frozen=True)
class Op:
    """One operation of a network: what it is, where its inputs come from, and how to run it again.

    Attributes:
        layer: torchvision's layer id, such as `layer1.0.relu_2` or `layer1.0.add`.
        path: the id without the count of a repeated call: `layer1.0.relu` for `layer1.0.relu_2`.
        kind: the name in `torch.nn.functional`, such as `conv2d`, `batch_norm`, `relu`, `add`.
        inputs: layer ids of the operations whose outputs it takes, `input` for the network's own.
        attributes: stride, padding, eps and the like, by torch's names.
        parameters: weight, bias, running_mean, running_var, where it has them.
        shape: of its output.
        dtype: of its output, by NumPy's name.
        in_place: whether its output is one of its inputs, changed.
        native: whether it is known to be torch's own code and nothing else (see `native`); False where nobody looked.
        stored: whether its parameters are numbers out of a file, and cannot be worked out anew in another precision.
        keys: for each parameter its name in the network's state dict, where it has one.
        inner: what a class that is one operation here did inside, in order; for those who want to open it.
        source: `file:line` of the call in the network's code, where it is known.
        run: takes the inputs' arrays, returns the output; computes in the inputs' dtype, whichever float that is. It
            may change its inputs and give the same output array twice: `playback.run` guards against both. None in a
            trace read from a file.
        vary: takes settings by torch's names and parameters by role; gives what runs this operation with them in the
            place of its own, or None where it has no such setting. None where nothing of it can be exchanged.
        pull: its vector-Jacobian product, the way its gradients go. None where it has none, as in a trace from a file.
        own_backward: the one that somebody wrote, through which gradients go in place of `pull`; None where nobody did.
        graded: False where gradients were switched off when it ran; True, too, where nobody looked.
    """

    layer: str
    path: str
    kind: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, object] = field(repr=False)
    parameters: Mapping[str, Array] = field(repr=False)
    shape: tuple[int, ...]
    dtype: str
    in_place: bool = False
    native: bool = False
    stored: bool = False
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    inner: tuple[Op, ...] = field(default=(), repr=False)
    source: str | None = field(default=None, repr=False)
    run: Callable[..., Array] | None = field(default=None, repr=False)
    vary: Callable[[Mapping[str, object], Mapping[str, Array]], Callable[..., Array] | None] | None = field(
        default=None, repr=False
    )
    pull: Pull | None = field(default=None, repr=False)
    own_backward: OwnBackward | None = field(default=None, repr=False)
    graded: bool = True


@dataclass(frozen=True)
class Trace:
    """The ordered operations of one forward pass, and whichever of their values were kept.

    Attributes:
        network: what ran, in words.
        ops: in the order they ran.
        values: outputs by layer id, where they were kept.
        final: layer id of the last operation.
        returned: what the network itself gave; None where it was stopped before (`until`) or gave no single array.
        returned_by: layer id of the operation that made it; None where none of those recorded did.
        returned_as: what the network gave, in words, where it is not one array.
        used: names, in the network's state dict, of the tensors that took part; empty where that is not known.
        unseen: what happened to values without being an operation that could be seen, in words.
        looks: lines of the network's code that look at values, and may choose their way by them.
        random: whether random numbers were drawn.
        until: the part of the network after which it was stopped; None where it ran to its end.
        input_digest: SHA-256 of the input's shape, dtype and bytes.
        floors: for each layer the largest end-to-end error that rounding can explain, by layer id, where
            it was measured (see `compare.playback`).
        metadata: weights, image, versions and seeds, as text.
    """

    network: str
    ops: tuple[Op, ...]
    values: Mapping[str, Array] = field(repr=False)
    final: str
    returned: Array | None = field(default=None, repr=False)
    returned_by: str | None = None
    returned_as: str = ""
    used: frozenset[str] = field(default=frozenset(), repr=False)
    unseen: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    random: bool = False
    until: str | None = None
    input_digest: str = ""
    floors: Mapping[str, float] = field(default_factory=dict, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)

    def by_layer(self) -> dict[str, Op]:
        """The operations by their layer id."""
        return {op.layer: op for op in self.ops}


def digest(x: Array) -> str:
    """SHA-256 of an array's shape, dtype and bytes."""
    found = hashlib.sha256(f"{x.shape} {x.dtype}".encode())
    found.update(np.ascontiguousarray(x).tobytes())
    return found.hexdigest()


class Namer:
    """Gives ids as torchvision does: a path that comes again gets `_1`, `_2`, ….

    Source: torchvision.models.feature_extraction, `NodePathTracer`.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def name(self, path: str) -> str:
        """The id of the next operation at `path`."""
        count = self._seen[path]
        self._seen[path] += 1
        return path if count == 0 else f"{path}_{count}"


def upto(ops: tuple[Op, ...], until: str | None) -> tuple[Op, ...]:
    """The operations up to and including the last one at or below `until`; all of them for None.

    Raises:
        InputError: no operation is at or below `until`.
    """
    if until is None:
        return ops
    last = max((i for i, op in enumerate(ops) if is_within(op.layer, until)), default=None)
    if last is None:
        names = sorted({op.layer.split(".")[0] for op in ops}, key=[op.layer.split(".")[0] for op in ops].index)
        raise InputError(
            f"until: no such layer, got {until!r}, expected a layer id or the start of one",
            help="the network's parts are " + ", ".join(names),
        )
    return ops[: last + 1]


def is_within(layer: str, part: str) -> bool:
    """Whether `layer` is `part` or lies below it: `layer2.0.conv1` is within `layer2`."""
    return layer == part or layer.startswith(part + ".")
