"""The linear map."""

from __future__ import annotations

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes, check_shapes
from layerdiff.handwritten.tape import differentiable

__all__ = ["linear", "linear_vjp"]


def linear_vjp(grad: Array, y: Array, x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, ...]:
    """`grad @ weight`, `grad.T @ x` and the sum of `grad`, where all leading axes count as one.

    `grad` is the gradient of `y`, (..., out_features), which `linear` gave for the arguments that follow.

    Returns:
        The gradients of `x`, of `weight` and, where there is one, of `bias`, each of its shape and dtype.
    """
    rows = grad.reshape(-1, len(weight))
    grad_x: Array = grad @ weight
    grad_weight: Array = rows.T @ x.reshape(len(rows), weight.shape[1])
    return (grad_x, grad_weight) if bias is None else (grad_x, grad_weight, rows.sum(axis=0))


@differentiable(linear_vjp)
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """`x @ weight.T + bias`.

    Args:
        x: (..., in_features), any floating dtype.
        weight: (out_features, in_features), dtype of `x`.
        bias: (out_features,), dtype of `x`.

    Returns:
        (..., out_features), dtype of `x`.

    Raises:
        ValueError: shapes or dtypes that do not fit.

    Source: torch.nn.functional.linear.
    """
    if x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise refusal(
            f"linear: wrong number of features, got shape {x.shape}, expected (..., {weight.shape[1]})",
            help="was the image flattened, and pooled before that?",
        )
    check_shapes("linear", weight.shape[:1], bias=bias)
    check_dtypes("linear", x, weight=weight, bias=bias)
    y: Array = x @ weight.T
    return y if bias is None else y + bias
