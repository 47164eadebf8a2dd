"""Joining axes."""

from __future__ import annotations

from layerdiff.handwritten.geometry import flattened_shape
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.tape import differentiable

__all__ = ["flatten", "flatten_vjp"]


def flatten_vjp(grad: Array, y: Array, x: Array, start_dim: int = 1, end_dim: int = -1) -> tuple[Array]:
    """`grad` in the shape of `x`: nothing was computed, so nothing changes but the axes."""
    return (grad.reshape(x.shape),)


@differentiable(flatten_vjp)
def flatten(x: Array, start_dim: int = 1, end_dim: int = -1) -> Array:
    """Joins the axes from `start_dim` to `end_dim`, both included, into one.

    Args:
        x: any shape and dtype.
        start_dim: the first axis to join; negative counts from the end.
        end_dim: the last.

    Returns:
        (n, c, h, w) becomes (n, c*h*w); dtype of `x`.

    Raises:
        ValueError: `x` has no such axes, or they are in the wrong order.

    Source: torch.flatten, but from the first axis after the batch unless told otherwise, as torch.nn.Flatten.
    """
    return x.reshape(flattened_shape("flatten", x.shape, start_dim, end_dim))
