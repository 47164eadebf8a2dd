"""Where a forward pass ended: the operation that raised, and what it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Crash"]


@dataclass(frozen=True)
class Crash:
    """An operation that raised.

    Attributes:
        layer: the id it would have had.
        path: that of the module it ran in, or of the operation itself.
        kind: conv2d, add, …
        error: the exception's type.
        message: the first line of what it said.
        inputs: ids of the operations whose outputs it took, `input` for the network's own.
        input_shapes: of those, in order.
        attributes: stride, padding and the like, as far as they are known.
        parameter_shapes: of its weight, bias and so on, by role.
        source: `file:line` of the call in the network's code.
    """

    layer: str
    path: str
    kind: str
    error: str
    message: str
    inputs: tuple[str, ...] = ()
    input_shapes: tuple[tuple[int, ...], ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)
    parameter_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    source: str | None = None
