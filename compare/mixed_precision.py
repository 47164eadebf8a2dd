"""The structure of a network that holds tensors of another precision than its input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from layerdiff.compare.structure import Structure, structure_of

__all__ = ["structure_for_ledger"]


def structure_for_ledger(network: Any, shape: tuple[int, ...], *, name: str | None = None) -> Structure:
    """`structure_of`, with arithmetic where a network holds tensors of another precision than its input.

    Meta tensors do not mind if precisions meet; real ones raise.

    Raises:
        InputError: it is neither a torch nor a NumPy network.
    """
    structure = structure_of(network, shape, name=name)
    if structure.crash is not None or not hasattr(network, "named_parameters"):
        return structure
    import torch

    from layerdiff.compare.capture_torch import record_torch

    tensors = [tensor for _, tensor in (*network.named_parameters(), *network.named_buffers())]
    if all(tensor.is_meta or tensor.dtype == torch.float32 or not tensor.is_floating_point() for tensor in tensors):
        return structure
    recording = record_torch(network, torch.zeros(shape), survive=True)
    return replace(
        structure,
        ops=tuple(recording.ops),
        returned_by=recording.returned_by,
        returned_as=recording.returned_as,
        crash=recording.crash,
        used=frozenset(recording.used),
    )
