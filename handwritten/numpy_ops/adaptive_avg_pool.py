"""Average pooling to a given size."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten._checks import check_image_batch
from layerdiff.handwritten.geometry import Size, adaptive_bounds, pair
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes

__all__ = ["adaptive_avg_pool2d"]


def adaptive_avg_pool2d(x: Array, output_size: Size) -> Array:
    """The mean of each of `output_size` windows that share the image out among them.

    A window is a rectangle, so its mean is the mean over the columns of the means over the rows.

    Args:
        x: (n, c, h, w), any floating dtype.
        output_size: rows and columns of the result.

    Returns:
        (n, c, *output_size), dtype of `x`.

    Raises:
        ValueError: a size that cannot be used, or an empty image.

    Source: torch.nn.functional.adaptive_avg_pool2d.
    """
    check_image_batch("adaptive_avg_pool2d", x.shape)
    check_dtypes("adaptive_avg_pool2d", x)
    out = pair("adaptive_avg_pool2d", "output_size", output_size, at_least=1)
    rows, columns = (adaptive_bounds("adaptive_avg_pool2d", x.shape[2 + axis], out[axis]) for axis in (0, 1))
    x = np.stack([x[:, :, start:end].mean(axis=2) for start, end in rows], axis=2)
    return np.stack([x[..., start:end].mean(axis=3) for start, end in columns], axis=3)
