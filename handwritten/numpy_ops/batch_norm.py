"""Batch normalisation by statistics that are given, as in eval mode."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops._channels import affine_gradients, channel_sums, check_channel_arrays, normalised
from layerdiff.handwritten.tape import differentiable

__all__ = ["batch_norm", "batch_norm_vjp"]


def batch_norm_vjp(
    grad: Array,
    y: Array,
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
) -> tuple[Array, ...]:
    """The gradients of what `batch_norm` took, where the statistics are variables of their own.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `batch_norm` gave.
        x: what it took.
        mean: it took.
        var: it took.
        weight: it took, or None.
        bias: it took, or None.
        eps: it took.

    Returns:
        The gradients of x (n, c, h, w), of mean and var (c,), and of weight and bias (c,) where there are such.
    """
    inverse = 1 / np.sqrt(var + eps)
    scale = inverse if weight is None else inverse * weight
    total, along = channel_sums(grad, normalised(x, mean, inverse))
    slope = along if weight is None else along * weight
    gradients = grad * scale[:, None, None], -scale * total, -slope * inverse * inverse / 2
    return gradients + affine_gradients(weight, along, bias, total)


@differentiable(batch_norm_vjp)
def batch_norm(
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
) -> Array:
    """Normalises each channel by the statistics given, then scales and shifts it.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    Args:
        x: (n, c, h, w), any floating dtype.
        mean: (c,), dtype of `x`; the running mean in eval mode.
        var: (c,), dtype of `x`; the running variance in eval mode.
        weight: (c,), dtype of `x`; ones unless given.
        bias: (c,), dtype of `x`; zeros unless given.
        eps: keeps the root away from zero.

    Returns:
        (n, c, h, w), dtype of `x`.

    Raises:
        ValueError: shapes or dtypes that do not fit.

    Source: Ioffe & Szegedy 2015, algorithm 2; torch.nn.functional.batch_norm.
    """
    check_channel_arrays("batch_norm", x, mean=mean, var=var, weight=weight, bias=bias)
    scale = 1 / np.sqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    y = x - mean[:, None, None]
    y *= scale[:, None, None]
    if bias is not None:
        y += bias[:, None, None]
    return y
