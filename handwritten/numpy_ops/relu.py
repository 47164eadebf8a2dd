"""The rectifier."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["relu"]


def relu(x: Array) -> Array:
    """`max(x, 0)`: any shape and floating dtype in, the same out; NaN stays NaN.

    Source: torch.nn.functional.relu.
    """
    y: Array = np.maximum(x, 0)
    return y
