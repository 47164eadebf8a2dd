"""Normalisation by the statistics of what is normalised: batch, instance and layer norm as one step of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from layerdiff.compare.hypotheses.kit import Step
from layerdiff.compare.trace import Array

__all__ = ["own_statistics"]


def own_statistics(
    dims: tuple[int, ...], weight: Array | None, bias: Array | None, *, eps: float, unbiased: bool = False
) -> Step:
    """(x - mean)·weight/√(var + eps) + bias with mean and variance of x itself.

    Args:
        dims: the axes over which they are taken: (0, 2, 3) for a batch norm in training mode, (2, 3) for an instance
            norm, (1, 2, 3) for a layer norm.
        weight: (c,), along axis 1; None for 1.
        bias: likewise; None for 0.
        eps: added to the variance.
        unbiased: divide the sum of squares by n - 1.
    """
    named = {"weight": weight, "bias": bias}
    parameters = {role: array for role, array in named.items() if array is not None}

    def function(x: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        variance, mean = torch.var_mean(x[0], dim=dims, correction=int(unbiased), keepdim=True)
        shape = (1, -1, *(1 for _ in x[0].shape[2:]))
        one = x[0].new_ones(1)
        stretch = p.get("weight", one).reshape(shape) / torch.sqrt(variance + eps)
        return (x[0] - mean) * stretch + p.get("bias", one * 0).reshape(shape)

    attributes = {"dims": dims, "eps": eps, "unbiased": unbiased}
    return Step("own_statistics", attributes, parameters, function)
