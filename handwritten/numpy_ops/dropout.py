"""Dropout."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import check_probability
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes

__all__ = ["dropout"]


def dropout(x: Array, p: float, generator: np.random.Generator) -> Array:
    """Zeroes each value with probability `p`, and divides the rest by `1 - p` so that the expectation stays.

    Args:
        x: any shape and floating dtype.
        p: the share of values that are dropped.
        generator: draws them.

    Returns:
        The shape and dtype of `x`.

    Raises:
        ValueError: `p` is not a probability, or the dtype not floating.

    Source: Srivastava et al. 2014, in the inverted form; torch.nn.functional.dropout with training=True.
    """
    check_probability("dropout", p)
    check_dtypes("dropout", x)
    if p == 1:
        return np.zeros_like(x)
    kept = generator.random(x.shape) >= p
    y: Array = x * kept / (1 - p)
    return y
