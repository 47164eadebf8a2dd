"""The residual addition."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.tape import differentiable

__all__ = ["add", "add_vjp"]


def add_vjp(grad: Array, y: Array, x: Array, identity: Array) -> tuple[Array, Array]:
    """`grad`, twice: the branch and the shortcut each take all of it.

    Source: He et al., "Identity Mappings in Deep Residual Networks", 2016, equation 5.
    """
    return grad, grad


@differentiable(add_vjp)
def add(x: Array, identity: Array) -> Array:
    """`x + identity`, of arrays of one shape: a residual block has no use for broadcasting.

    Args:
        x: any shape and floating dtype.
        identity: shape and dtype of `x`.

    Returns:
        The shape and dtype of `x`.

    Raises:
        ValueError: shapes or dtypes differ.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015, equation 1.
    """
    if x.shape != identity.shape:
        raise refusal(
            f"add: branch and shortcut differ in shape, got {x.shape} and {identity.shape}, expected the same",
            help="does the shortcut lack its projection, or its stride?",
        )
    check_dtypes("add", x, identity=identity)
    y: Array = np.asarray(x + identity)
    return y
