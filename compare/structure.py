"""What a network consists of, without its numbers: operations, shapes, tensors, and where its forward pass ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layerdiff.compare.capture_numpy import record_numpy
from layerdiff.compare.crash import Crash
from layerdiff.compare.recorder import Recording
from layerdiff.compare.trace import Op
from layerdiff.errors import InputError

__all__ = ["Structure", "structure_of"]


@dataclass(frozen=True)
class Structure:
    """A network's operations and tensors for an input of one size.

    Attributes:
        network: what it is, in words.
        shape: of the input.
        ops: in the order they ran, up to the crash if there was one.
        returned_by: id of the operation whose output the network returns; None where none of them is.
        returned_as: what it returns, in words, where it is not one tensor.
        crash: the operation that raised; None where the forward pass went through.
        tensors: shapes of all it holds in its state dict, by name.
        parameters: names of those that are parameters; the others are buffers.
        used: names of those that took part in the forward pass.
    """

    network: str
    shape: tuple[int, ...]
    ops: tuple[Op, ...] = field(repr=False)
    returned_by: str | None
    returned_as: str
    crash: Crash | None
    tensors: Mapping[str, tuple[int, ...]] = field(repr=False)
    parameters: frozenset[str] = field(repr=False)
    used: frozenset[str] = field(repr=False)


def structure_of(network: Any, shape: tuple[int, ...], *, name: str | None = None) -> Structure:
    """The structure of a network for an input of `shape`, without its arithmetic where that can be had.

    A torch network runs on meta tensors, which have a shape and no values. One that cannot (it holds tensors that are
    not registered, or of another precision, or looks at values) runs once on zeros instead, and so does one that
    raises, so that the crash is the real one.

    Args:
        network: a `torch.nn.Module`, in eval mode, or a NumPy network (see `capture_numpy`).
        shape: (n, c, h, w) of the input, float32.
        name: what the network is, in words; its class's name by default.

    Raises:
        InputError: the network is of neither kind.
    """
    if hasattr(network, "named_modules"):
        recording = _of_torch(network, shape)
        state = network.state_dict().items()
        tensors = {key: tuple(tensor.shape) for key, tensor in state if hasattr(tensor, "shape")}
        parameters = frozenset(key for key, _ in network.named_parameters(remove_duplicate=False))
    elif hasattr(network, "named_layers"):
        recording = record_numpy(network, np.zeros(shape, np.float32), until=None, keep=False, survive=True)
        tensors = {key: tuple(array.shape) for key, array in network.state_dict().items()}
        parameters = frozenset(key for key in tensors if not key.endswith(("running_mean", "running_var")))
    else:
        raise InputError(f"shapes: not a network, got {type(network).__name__}, expected a torch or NumPy network")
    return Structure(
        network=name or type(network).__name__,
        shape=shape,
        ops=tuple(recording.ops),
        returned_by=recording.returned_by,
        returned_as=recording.returned_as,
        crash=recording.crash,
        tensors=tensors,
        parameters=parameters,
        used=frozenset(recording.used),
    )


def _of_torch(network: Any, shape: tuple[int, ...]) -> Recording:
    import torch

    from layerdiff.compare.capture_torch import record_torch
    from layerdiff.compare.torch_state import on_meta

    with on_meta(network):
        recording = record_torch(network, torch.empty(shape, device="meta"), survive=True)
    if recording.crash is None and not _mixes_precisions(network):
        return recording
    return record_torch(network, torch.zeros(shape), survive=True)


def _mixes_precisions(network: Any) -> bool:
    """Whether it holds tensors of another precision than its input: meta tensors do not mind, real ones raise."""
    import torch

    tensors = [tensor for _, tensor in (*network.named_parameters(), *network.named_buffers())]
    return any(tensor.is_floating_point() and tensor.dtype != torch.float32 for tensor in tensors)
