"""The linear map."""

from __future__ import annotations

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes, check_shapes

__all__ = ["linear"]


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
