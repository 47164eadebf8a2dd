"""The operations of the NumPy half: pure functions of (n, c, h, w) arrays, one in each file, in the dtype they get."""

from __future__ import annotations

from layerdiff.handwritten.numpy_ops._reduction import Reduction
from layerdiff.handwritten.numpy_ops.adaptive_avg_pool import adaptive_avg_pool2d
from layerdiff.handwritten.numpy_ops.add import add
from layerdiff.handwritten.numpy_ops.avg_pool import avg_pool2d
from layerdiff.handwritten.numpy_ops.batch_norm import batch_norm
from layerdiff.handwritten.numpy_ops.batch_norm_train import batch_norm_by_batch, batch_norm_train, batch_statistics
from layerdiff.handwritten.numpy_ops.conv import Grade, conv2d
from layerdiff.handwritten.numpy_ops.cross_entropy import Labels, cross_entropy
from layerdiff.handwritten.numpy_ops.dropout import drop, dropout, dropout_mask
from layerdiff.handwritten.numpy_ops.elu import elu
from layerdiff.handwritten.numpy_ops.flatten import flatten
from layerdiff.handwritten.numpy_ops.leaky_relu import leaky_relu
from layerdiff.handwritten.numpy_ops.linear import linear
from layerdiff.handwritten.numpy_ops.log_softmax import log_softmax
from layerdiff.handwritten.numpy_ops.max_pool import max_pool2d
from layerdiff.handwritten.numpy_ops.mse_loss import mse_loss
from layerdiff.handwritten.numpy_ops.patches import (
    column_to_image,
    determine_padding,
    image_to_column,
    patch_indices,
)
from layerdiff.handwritten.numpy_ops.relu import relu
from layerdiff.handwritten.numpy_ops.selu import selu
from layerdiff.handwritten.numpy_ops.sigmoid import sigmoid
from layerdiff.handwritten.numpy_ops.softmax import softmax
from layerdiff.handwritten.numpy_ops.tanh import tanh

__all__ = [
    "Grade",
    "Labels",
    "Reduction",
    "adaptive_avg_pool2d",
    "add",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_by_batch",
    "batch_norm_train",
    "batch_statistics",
    "column_to_image",
    "conv2d",
    "cross_entropy",
    "determine_padding",
    "drop",
    "dropout",
    "dropout_mask",
    "elu",
    "flatten",
    "image_to_column",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "patch_indices",
    "relu",
    "selu",
    "sigmoid",
    "softmax",
    "tanh",
]
