"""Dropout: what is dropped is drawn first, then it is zeroed, so that the gradient knows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import check_probability, refusal
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.tape import differentiable

__all__ = ["drop", "drop_vjp", "dropout", "dropout_mask"]


def drop_vjp(grad: Array, y: Array, x: Array, kept: NDArray[np.bool_], p: float) -> tuple[Array]:
    """`grad`, dropped and scaled as the values were.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `drop` gave.
        x: what it took.
        kept: it took.
        p: it took.

    Returns:
        The gradient of `x`, its shape and dtype.
    """
    return (_scaled(grad, kept, p),)


@differentiable(drop_vjp)
def drop(x: Array, kept: NDArray[np.bool_], p: float) -> Array:
    """`x * kept / (1 - p)`: zeroes what is not kept and scales the rest, so that the expectation stays.

    Args:
        x: any shape and floating dtype.
        kept: shape of `x`, bool, from `dropout_mask`.
        p: the probability with which a value was dropped; at 1 everything is zero.

    Returns:
        The shape and dtype of `x`.

    Raises:
        ValueError: `p` is not a probability, the mask does not fit, or the dtype is not floating.

    Source: Srivastava et al. 2014, in the inverted form.
    """
    check_probability("drop", p)
    check_dtypes("drop", x)
    if kept.shape != x.shape or kept.dtype != np.bool_:
        raise refusal(
            f"drop: unusable mask, got {kept.shape} {kept.dtype}, expected {x.shape} bool",
            help="draw it with dropout_mask(x.shape, p, generator)",
        )
    return _scaled(x, kept, p)


def dropout(x: Array, p: float, generator: np.random.Generator) -> Array:
    """Zeroes each value with probability `p`, and divides the rest by `1 - p` so that the expectation stays.

    On a tape it is `drop`.

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
    return drop(x, dropout_mask(x.shape, p, generator), p)


def dropout_mask(shape: tuple[int, ...], p: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Draws which values stay: each with probability `1 - p`.

    Args:
        shape: of the values.
        p: the share of values that are dropped; at 1 nothing is drawn.
        generator: draws them.

    Returns:
        `shape`, bool: True where the value stays.

    Raises:
        ValueError: `p` is not a probability.
    """
    check_probability("dropout_mask", p)
    if p == 1:
        return np.zeros(shape, dtype=np.bool_)
    return np.asarray(generator.random(shape) >= p)


def _scaled(values: Array, kept: NDArray[np.bool_], p: float) -> Array:
    if p == 1:
        return np.zeros_like(values)
    return np.asarray(values * kept / (1 - p))
