"""What batch normalisation does channel by channel in either mode."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import check_image_batch
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes, check_shapes

__all__ = ["affine_gradients", "centred", "channel_sum", "channel_sums", "check_channel_arrays", "normalised"]


def check_channel_arrays(where: str, x: Array, **arrays: Array | None) -> None:
    """Refuses what is not (n, c, h, w), and arrays that are not (c,) of its dtype."""
    check_image_batch(where, x.shape)
    check_shapes(where, (x.shape[1],), **arrays)
    check_dtypes(where, x, **arrays)


def normalised(x: Array, mean: Array, inverse: Array) -> Array:
    """`(x - mean) * inverse` for each channel, a new array; `inverse` is one over the deviation."""
    y: Array = x - mean[:, None, None]
    y *= inverse[:, None, None]
    return y


def channel_sum(x: Array, factor: Array | None = None) -> Array:
    """For each channel the sum of `x`, or of `x * factor`: (n, c, h, w) to (c,).

    Image by image first, so that fewer values are added to any one sum, and less is rounded.
    """
    of_images = np.einsum("nchw->nc", x) if factor is None else np.einsum("nchw,nchw->nc", x, factor)
    total: Array = of_images.sum(axis=0)
    return total


def centred(x: Array) -> tuple[Array, Array, Array]:
    """Each channel's mean (c,), what `x` is beyond it (n, c, h, w), a new array, and its biased variance (c,)."""
    n, _, h, w = x.shape
    mean = channel_sum(x) / (n * h * w)
    beyond: Array = x - mean[:, None, None]
    return mean, beyond, channel_sum(beyond, beyond) / (n * h * w)


def channel_sums(grad: Array, along: Array) -> tuple[Array, Array]:
    """For each channel the sum of the gradient, and the sum of its product with `along`."""
    return channel_sum(grad), channel_sum(grad, along)


def affine_gradients(weight: Array | None, along: Array, bias: Array | None, total: Array) -> tuple[Array, ...]:
    """The gradients of the scale and the shift, where there are such: the two sums of `channel_sums`."""
    return tuple(gradient for array, gradient in ((weight, along), (bias, total)) if array is not None)
