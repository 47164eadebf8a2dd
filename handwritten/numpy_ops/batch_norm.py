"""Batch normalisation, in eval mode and in training. Nothing is changed in place: new estimates are returned."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import check_image_batch, refusal
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes, check_shapes

__all__ = ["batch_norm", "batch_norm_train", "batch_statistics"]


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
    _check("batch_norm", x, mean=mean, var=var, weight=weight, bias=bias)
    scale = 1 / np.sqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    y = x - mean[:, None, None]
    y *= scale[:, None, None]
    if bias is not None:
        y += bias[:, None, None]
    return y


def batch_norm_train(
    x: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """Normalises each channel by the batch's own statistics, and moves the running estimates towards them.

        running = (1 - momentum) * running + momentum * batch

    The batch is normalised by its biased variance (a sum divided by the count), but the running estimate follows the
    unbiased one (divided by the count less one).

    Args:
        x: (n, c, h, w), any floating dtype.
        running_mean: (c,), dtype of `x`.
        running_var: (c,), dtype of `x`.
        weight: (c,), dtype of `x`; ones unless given.
        bias: (c,), dtype of `x`; zeros unless given.
        momentum: the weight of this batch; 1/k at the k-th batch makes the estimates plain averages.
        eps: keeps the root away from zero.

    Returns:
        y (n, c, h, w), the new running mean (c,) and the new running variance (c,), all in the dtype of `x`.

    Raises:
        ValueError: shapes or dtypes that do not fit, or a single value per channel, which has no variance.

    Source: Ioffe & Szegedy 2015, algorithm 1; torch.nn.functional.batch_norm with training=True.
    """
    _check("batch_norm_train", x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    count = x.shape[0] * x.shape[2] * x.shape[3]
    if count < 2:
        raise refusal(
            f"batch_norm_train: one value has no variance, got {count} per channel, expected at least 2 in training",
            help="train on a larger batch or image, or call eval()",
        )
    mean, var = batch_statistics(x)
    y = batch_norm(x, mean, var, weight, bias, eps=eps)
    unbiased_var = var * (count / (count - 1))
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * unbiased_var
    return y, new_mean, new_var


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance of each channel over the batch and the image: (c,) each, dtype of `x`."""
    return x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))


def _check(where: str, x: Array, **arrays: Array | None) -> None:
    check_image_batch(where, x.shape)
    check_shapes(where, (x.shape[1],), **arrays)
    check_dtypes(where, x, **arrays)
