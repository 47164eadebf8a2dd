"""The NumPy half for one image with the channels last, which is how an image file is read.

Thin: each function turns (h, w, c) into a batch of one with the channels first, and the result back.

    c, h, w as torch:  x[n, c, i, j]      weight[c_out, c_in, p, q]  (OIHW)
    here:              image[i, j, c]     weight[c_out, p, q, c_in]  (OHWI)
"""

from __future__ import annotations

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.geometry import Size
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_resnet import ResNet

__all__ = ["batch_norm_hwc", "classify_hwc", "conv2d_hwc", "max_pool2d_hwc"]


def conv2d_hwc(image: Array, weight: Array, bias: Array | None = None, *, stride: Size = 1, padding: Size = 0) -> Array:
    """Cross-correlates one image with kernels; see `numpy_ops.conv2d`.

    Args:
        image: (h, w, c_in), any floating dtype.
        weight: (c_out, kh, kw, c_in), dtype of `image`.
        bias: (c_out,), dtype of `image`.
        stride: the step of the windows.
        padding: rows and columns of zeros around the image.

    Returns:
        (h_out, w_out, c_out), dtype of `image`.

    Raises:
        ValueError: shapes, dtypes or sizes that do not fit.
    """
    if weight.ndim != 4:
        raise refusal(
            f"conv2d_hwc: unusable weight, got shape {weight.shape}, expected (c_out, kh, kw, c_in)",
            help="torch's (c_out, c_in, kh, kw) becomes this with weight.transpose(0, 2, 3, 1)",
        )
    x = _to_batch("conv2d_hwc", image)
    return _to_image(ops.conv2d(x, weight.transpose(0, 3, 1, 2), bias, stride=stride, padding=padding))


def batch_norm_hwc(
    image: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
) -> Array:
    """Normalises each channel of one image by its running statistics; see `numpy_ops.batch_norm`.

    Args:
        image: (h, w, c), any floating dtype.
        running_mean: (c,), dtype of `image`.
        running_var: (c,), dtype of `image`.
        weight: (c,), dtype of `image`; ones unless given.
        bias: (c,), dtype of `image`; zeros unless given.
        eps: keeps the root away from zero.

    Returns:
        (h, w, c), dtype of `image`.

    Raises:
        ValueError: shapes or dtypes that do not fit.
    """
    x = _to_batch("batch_norm_hwc", image)
    return _to_image(ops.batch_norm(x, running_mean, running_var, weight, bias, eps=eps))


def max_pool2d_hwc(image: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Array:
    """The largest value in each window of one image; see `numpy_ops.max_pool2d`.

    Args:
        image: (h, w, c), any floating dtype.
        kernel_size: rows and columns of a window.
        stride: the step of the windows, `kernel_size` unless given.
        padding: around the image, at most half of a window.

    Returns:
        (h_out, w_out, c), dtype of `image`.

    Raises:
        ValueError: sizes that do not fit.
    """
    return _to_image(ops.max_pool2d(_to_batch("max_pool2d_hwc", image), kernel_size, stride, padding))


def classify_hwc(network: ResNet, image: Array) -> Array:
    """The logits of one image.

    Args:
        network: from `numpy_resnet.build`, loaded.
        image: (h, w, 3), dtype of the network's weights, normalised as their recipe says.

    Returns:
        (classes,), dtype of `image`.

    Raises:
        ValueError: not one image of as many channels as the network takes, or another dtype than the weights.
    """
    logits: Array = network(_to_batch("classify_hwc", image))[0]
    return logits


def _to_batch(where: str, image: Array) -> Array:
    if image.ndim != 3:
        raise refusal(
            f"{where}: not one image, got shape {image.shape}, expected (h, w, c)",
            help="for a batch use numpy_ops, channels first",
        )
    return image.transpose(2, 0, 1)[None]


def _to_image(batch: Array) -> Array:
    image: Array = batch[0].transpose(1, 2, 0)
    return image
