"""The leaky rectifier."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.tape import differentiable

__all__ = ["leaky_relu", "leaky_relu_vjp"]


def leaky_relu_vjp(grad: Array, y: Array, x: Array, negative_slope: float = 0.01) -> tuple[Array]:
    """`grad` where `x` is positive, else `grad * negative_slope`: at exactly 0 too, as in torch.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `leaky_relu` gave; its sign tells nothing where the slope is 0 or negative.
        x: what it took.
        negative_slope: it took.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    return (_bent(grad, x, negative_slope),)


@differentiable(leaky_relu_vjp)
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """`x` where it is positive, else `x * negative_slope`; NaN stays NaN.

    Args:
        x: any shape and floating dtype.
        negative_slope: any number.

    Returns:
        The shape and dtype of `x`.

    Raises:
        ValueError: the dtype is not floating.

    Source: Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013;
    torch.nn.functional.leaky_relu.
    """
    check_dtypes("leaky_relu", x)
    return _bent(x, x, negative_slope)


def _bent(values: Array, x: Array, negative_slope: float) -> Array:
    bent = values.copy()
    # Only where it is wanted: a positive infinity times a slope of 0 would be NaN, and warn.
    np.multiply(values, negative_slope, out=bent, where=~(x > 0))
    return bent
