"""The operations of the NumPy half: pure functions of (n, c, h, w) arrays, one in each file, in the dtype they get."""

from __future__ import annotations

from layerdiff.handwritten.numpy_ops.adaptive_avg_pool import adaptive_avg_pool2d
from layerdiff.handwritten.numpy_ops.add import add
from layerdiff.handwritten.numpy_ops.avg_pool import avg_pool2d
from layerdiff.handwritten.numpy_ops.batch_norm import batch_norm, batch_norm_train, batch_statistics
from layerdiff.handwritten.numpy_ops.conv import Grade, conv2d
from layerdiff.handwritten.numpy_ops.dropout import dropout
from layerdiff.handwritten.numpy_ops.flatten import flatten
from layerdiff.handwritten.numpy_ops.linear import linear
from layerdiff.handwritten.numpy_ops.max_pool import max_pool2d
from layerdiff.handwritten.numpy_ops.relu import relu

__all__ = [
    "Grade",
    "adaptive_avg_pool2d",
    "add",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_train",
    "batch_statistics",
    "conv2d",
    "dropout",
    "flatten",
    "linear",
    "max_pool2d",
    "relu",
]
