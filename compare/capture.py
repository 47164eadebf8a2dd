"""Capture: from a network and an input to a trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from layerdiff.compare.capture_numpy import record_numpy
from layerdiff.compare.crash import Crash
from layerdiff.compare.recorder import Recording
from layerdiff.compare.trace import Array, Trace, digest
from layerdiff.errors import InputError

__all__ = ["capture", "capture_to_the_end", "check_input"]


def capture(
    network: Any,
    x: Array,
    *,
    name: str | None = None,
    until: str | None = None,
    keep: bool = False,
    metadata: Mapping[str, str] | None = None,
    graded: bool = False,
) -> Trace:
    """The trace of one forward pass of `network` on `x`.

    Args:
        network: a `torch.nn.Module`, or a NumPy network with the interface of `handwritten.numpy_layers.Layer`.
        x: (n, c, h, w) float32, finite.
        name: what the network is, in words; its class's name by default.
        until: stop after this part of the network, by layer id or the start of one.
        keep: keep every value, not only the last one.
        metadata: text that travels with the trace.
        graded: note of each operation whether gradients were switched off when it ran; for the way back.

    Raises:
        InputError: `x` is not such an array, the network is of neither kind, or nothing ran.
    """
    check_input(x)
    # A copy: nothing the network does in place may reach the caller's array.
    recording = _record(network, np.array(x, order="C"), until=until, keep=keep, survive=False, graded=graded)
    if not recording.ops:
        raise InputError(f"capture: no operation ran, got {type(network).__name__}, expected at least one")
    return _trace(network, recording, digest(x), name, until, metadata)


def capture_to_the_end(
    network: Any, x: Array, *, name: str | None = None, metadata: Mapping[str, str] | None = None
) -> tuple[Trace, Crash | None]:
    """The trace of a forward pass that may raise: what ran before, the operation that raised, and where that was.

    A network of which nothing ran has a trace without operations.

    Args:
        network: a `torch.nn.Module`, or a NumPy network; see `capture`.
        x: (n, c, h, w) float32, finite.
        name: what the network is, in words.
        metadata: text that travels with the trace.

    Raises:
        InputError: `x` is not such an array, or the network is of neither kind.
    """
    check_input(x)
    recording = _record(network, np.array(x, order="C"), until=None, keep=False, survive=True)
    if recording.crashed is not None:
        recording.ops.append(recording.crashed)
    return _trace(network, recording, digest(x), name, None, metadata), recording.crash


def _record(network: Any, x: Array, *, until: str | None, keep: bool, survive: bool, graded: bool = False) -> Recording:
    if hasattr(network, "named_layers"):
        return record_numpy(network, x, until=until, keep=keep, survive=survive)
    if hasattr(network, "named_modules"):
        # torch only where a torch network is captured: a NumPy network is judged without it.
        from layerdiff.compare.capture_torch import record_torch

        return record_torch(network, x, until=until, keep=keep, survive=survive, graded=graded)
    raise InputError(f"capture: not a network, got {type(network).__name__}, expected a torch or NumPy network")


def _trace(
    network: Any,
    recording: Recording,
    input_digest: str,
    name: str | None,
    until: str | None,
    metadata: Mapping[str, str] | None,
) -> Trace:
    return Trace(
        network=name or type(network).__name__,
        ops=tuple(recording.ops),
        values=recording.values,
        final=recording.ops[-1].layer if recording.ops else "",
        returned=recording.returned,
        returned_by=recording.returned_by,
        returned_as=recording.returned_as,
        used=frozenset(recording.used),
        unseen=tuple(recording.unseen),
        looks=tuple(sorted(recording.looks)),
        random=recording.random,
        until=until if recording.stopped else None,
        input_digest=input_digest,
        metadata=dict(metadata or {}),
    )


def check_input(x: Array) -> None:
    """Refuse an input that no image network takes.

    Raises:
        InputError: not (n, c, h, w), not float32, empty, or not finite.
    """
    if not isinstance(x, np.ndarray) or x.ndim != 4:
        raise InputError(f"input: wrong shape, got {getattr(x, 'shape', type(x).__name__)}, expected (n, c, h, w)")
    if x.dtype != np.float32:
        raise InputError(
            f"input: wrong dtype, got {x.dtype}, expected float32",
            help="float64 is judged too, from the same float32 input",
        )
    if x.size == 0:
        raise InputError(f"input: empty, got shape {x.shape}, expected at least one element")
    bad = int(x.size - np.isfinite(x).sum())
    if bad:
        raise InputError(f"input: {bad} of {x.size} values are not finite, expected all of them to be")
