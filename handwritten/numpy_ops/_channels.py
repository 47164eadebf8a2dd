"""What batch normalisation does channel by channel in either mode."""

from __future__ import annotations

from layerdiff.handwritten._checks import check_image_batch
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes, check_shapes

__all__ = ["affine_gradients", "channel_sums", "check_channel_arrays", "normalised"]


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


def channel_sums(grad: Array, x_hat: Array) -> tuple[Array, Array]:
    """For each channel the sum of the gradient, and the sum of its product with the normalised values."""
    return grad.sum(axis=(0, 2, 3)), (grad * x_hat).sum(axis=(0, 2, 3))


def affine_gradients(weight: Array | None, along: Array, bias: Array | None, total: Array) -> tuple[Array, ...]:
    """The gradients of the scale and the shift, where there are such: the two sums of `channel_sums`."""
    return tuple(gradient for array, gradient in ((weight, along), (bias, total)) if array is not None)
