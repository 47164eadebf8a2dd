"""Batch normalisation by the batch itself, as in training. Nothing is changed in place: new estimates are returned.

A layer calls `batch_norm_train` in training, and `batch_norm_by_batch(x, weight, bias)[0]` where it keeps no estimates.
It must not compose `batch_statistics` and `batch_norm` by itself: a tape would take the statistics for constants.
"""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops._channels import affine_gradients, centred, channel_sums, check_channel_arrays
from layerdiff.handwritten.tape import differentiable

__all__ = ["batch_norm_by_batch", "batch_norm_by_batch_vjp", "batch_norm_train", "batch_statistics"]


def batch_norm_by_batch_vjp(
    grad: Array,
    y: Array,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
) -> tuple[Array, ...]:
    """The gradients of what `batch_norm_by_batch` took; each value of x also acts through the mean and the variance.

        gradient of x = scale * (grad - mean(grad) - x̂ * mean(grad * x̂))

    with x̂ the normalised x and `scale` the weight over the deviation. What is subtracted takes out of `grad` what
    a shift or a stretch of the whole channel would change: batch norm undoes both, so they have no gradient.

    Args:
        grad: the gradient of `y`, its shape and dtype.
        y: what `batch_norm_by_batch` gave first.
        x: what it took.
        weight: it took, or None.
        bias: it took, or None.
        eps: it took.

    Returns:
        The gradients of x (n, c, h, w), and of weight and bias (c,) where there are such.

    Source: Ioffe & Szegedy 2015, section 3, the six equations of the chain rule, put together.
    """
    _, beyond, var = centred(x)  # beyond * inverse is x̂; all that is done to x̂ is done to the channel's factor
    inverse = 1 / np.sqrt(var + eps)
    scale = inverse if weight is None else inverse * weight
    total, along = channel_sums(grad, beyond)
    along *= inverse
    count = _count(x)
    beyond *= (inverse * along / count)[:, None, None]
    gradient = np.subtract(grad, beyond, out=beyond)
    gradient -= (total / count)[:, None, None]
    gradient *= scale[:, None, None]
    return (gradient, *affine_gradients(weight, along, bias, total))


@differentiable(batch_norm_by_batch_vjp)
def batch_norm_by_batch(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Normalises each channel by the batch's own statistics, then scales and shifts it; keeps no estimates.

    Args:
        x: (n, c, h, w), any floating dtype.
        weight: (c,), dtype of `x`; ones unless given.
        bias: (c,), dtype of `x`; zeros unless given.
        eps: keeps the root away from zero.

    Returns:
        y (n, c, h, w), and the mean (c,) and the biased variance (c,) by which it was normalised, in the dtype of `x`.
        No gradient is taken of these two.

    Raises:
        ValueError: shapes or dtypes that do not fit, or a single value per channel, which has no variance.

    Source: Ioffe & Szegedy 2015, algorithm 1; torch.nn.BatchNorm2d with track_running_stats=False.
    """
    check_channel_arrays("batch_norm_by_batch", x, weight=weight, bias=bias)
    _check_count("batch_norm_by_batch", x, help="take a larger batch or image, or normalise by running estimates")
    mean, y, var = centred(x)
    scale = 1 / np.sqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    y *= scale[:, None, None]
    if bias is not None:
        y += bias[:, None, None]
    return y, mean, var


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
    unbiased one (divided by the count less one). On a tape it is `batch_norm_by_batch`: no gradient goes to or comes
    from the estimates.

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
    check_channel_arrays(
        "batch_norm_train", x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    _check_count("batch_norm_train", x, help="train on a larger batch or image, or call eval()")
    y, mean, var = batch_norm_by_batch(x, weight, bias, eps=eps)
    count = _count(x)
    unbiased_var = var * (count / (count - 1))
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * unbiased_var
    return y, new_mean, new_var


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance of each channel over the batch and the image: (c,) each, dtype of `x`.

    No operation of a tape: see `batch_norm_by_batch`.
    """
    mean, _, var = centred(x)
    return mean, var


def _count(x: Array) -> int:
    """How many values a channel has."""
    n, _, h, w = x.shape
    count: int = n * h * w
    return count


def _check_count(where: str, x: Array, *, help: str) -> None:
    if _count(x) < 2:
        raise refusal(
            f"{where}: one value has no variance, got {_count(x)} per channel, expected at least 2 in training",
            help=help,
        )
