"""Whose memory a tensor is; see `sole`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerdiff.compare.sole import Sole, holders
from layerdiff.compare.torch_facts import array_of
from layerdiff.compare.trace import Array

__all__ = ["sole_array"]

_LEAST = 1 << 16


def sole_array(box: list[Tensor]) -> Array:
    """The values of the tensor in `box`: its own memory, over a `Sole` where it is known that nobody else reaches it.

    It is known of memory that torch's own allocator gave and that was never shown to NumPy or another process, if no
    second tensor lies on it; torch counts those, whoever holds them: Python, a graph of gradients, code in C++.

    Args:
        box: one tensor, which whoever calls refers to by nothing else. Empty afterwards.
    """
    # To copy little is quicker than to ask.
    if type(box[0]) is not Tensor or box[0].is_meta or box[0].nbytes < _LEAST:
        return array_of(box.pop())
    # A second tensor stays behind, so that the first is gone if nobody else holds it.
    box[0] = box[0].detach()
    alone = _is_alone(box)
    array = array_of(box.pop())
    return np.asarray(Sole(array, array)) if alone else array


def _is_alone(box: list[Tensor]) -> bool:
    # Torch's own affair: where it does not tell, nobody is known to be alone.
    if not hasattr(torch._C, "_storage_Use_Count"):
        return False
    if box[0].layout != torch.strided or not box[0].is_contiguous() or box[0].is_conj() or box[0].is_neg():
        return False
    below = [box[0].untyped_storage()]
    if not below[0].resizable() or below[0].is_shared() or below[0].nbytes() != box[0].nbytes:
        return False
    return _counts(below) == _ONE


def _counts(box: list[Any]) -> tuple[int, int]:
    """How many tensors lie on the storage in `box`, and how many refer to it in Python; each too high by some."""
    return torch._C._storage_Use_Count(box[0]._cdata), holders(box)


def _of_one_tensor() -> tuple[int, int]:
    tensor = torch.empty(1)
    return _counts([tensor.untyped_storage()])


_ONE = _of_one_tensor() if hasattr(torch._C, "_storage_Use_Count") else (0, 0)
