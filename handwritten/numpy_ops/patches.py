"""The patch matrix, explained: convolution as one matrix product.

Every window of an image is written out as a column, every kernel as a row. Row times column is then one value of the
result: the sum over channels and taps that a convolution is.

    columns = image_to_column(x, (kh, kw), stride, padding)           (c*kh*kw, n*h_out*w_out)
    kernels = weight.reshape(c_out, -1)                               (c_out, c*kh*kw)
    y = (kernels @ columns).reshape(c_out, n, h_out, w_out).swapaxes(0, 1)

`conv2d` computes this. Going back, gradients of the columns come as `kernels.T @ grad`; a pixel that several windows
saw gets the sum of its copies' gradients, which is `column_to_image`.

Source: Chellapilla et al., "High Performance Convolutional Neural Networks for Document Processing", 2006, section 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import check_image_batch, refusal
from layerdiff.handwritten.geometry import Padding, Sides, Size, Window, padding_sides, pair
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes
from layerdiff.handwritten.numpy_ops._columns import from_columns, to_columns
from layerdiff.handwritten.tape import differentiable

__all__ = [
    "column_to_image",
    "column_to_image_vjp",
    "determine_padding",
    "image_to_column",
    "image_to_column_vjp",
    "patch_indices",
    "patch_window",
]

Indices = NDArray[np.integer[Any]]


def determine_padding(kernel_size: Size, padding: Padding, *, stride: Size = 1, dilation: Size = 1) -> Sides:
    """How many rows and columns of zeros lie on each side of an image.

    With "same" and stride 1 the result has the image's size: h + top + bottom - (kh - 1) = h. Where kh - 1 is odd the
    last row goes to the bottom, and so to the right.

    Args:
        kernel_size: rows and columns of a kernel.
        padding: "same", "valid" (none), or rows and columns on either side.
        stride: the step of the windows; 1 for "same".
        dilation: the step between two taps of a kernel.

    Returns:
        ((top, bottom), (left, right)).

    Raises:
        ValueError: a size or a word that cannot be used, or "same" with a stride.

    Source: torch.nn.functional.conv2d.
    """
    return padding_sides("determine_padding", kernel_size, padding, stride=stride, dilation=dilation)


def patch_window(where: str, kernel_size: Size, stride: Size, padding: Padding, dilation: Size) -> Window:
    """The window of a convolution, from arguments as its caller wrote them.

    Raises:
        ValueError: one of them cannot be used; the error begins with `where`.
    """
    (top, bottom), (left, right) = padding_sides(where, kernel_size, padding, stride=stride, dilation=dilation)
    return Window(
        kernel_size=pair(where, "kernel_size", kernel_size, at_least=1),
        stride=pair(where, "stride", stride, at_least=1),
        padding=(top, left),
        dilation=pair(where, "dilation", dilation, at_least=1),
        more_after=(bottom - top, right - left),
    )


def patch_indices(
    shape: tuple[int, ...], kernel_size: Size, stride: Size = 1, padding: Padding = 0, dilation: Size = 1
) -> tuple[Indices, Indices, Indices]:
    """Which channel, row and column of the padded image each value of the patch matrix is.

    Row r of the patch matrix is tap (p, q) of channel k, with r = (k*kh + p)*kw + q: the order of a kernel's values.
    Its column s is window (a, b), with s = a*w_out + b: the order of the result's pixels. It holds the pixel in row
    i = a*stride + p*dilation and column j = b*stride + q*dilation. So for one padded image (c, h, w)

        columns = padded[k, i, j]

    and `image_to_column` is this; only that it copies whole rows, which is faster than picking values.

    Args:
        shape: (n, c, h, w) of the images, not padded.
        kernel_size: rows and columns of a kernel.
        stride: the step of the windows.
        padding: of the image, see `determine_padding`.
        dilation: the step between two taps of a kernel.

    Returns:
        k (c*kh*kw, 1), and i and j (c*kh*kw, h_out*w_out), of integers.

    Raises:
        ValueError: a size that cannot be used, or a padded image smaller than the kernel.

    Source: Stanford CS231n, "Convolutional Neural Networks", implementation as matrix multiplication.
    """
    check_image_batch("patch_indices", shape)
    window = patch_window("patch_indices", kernel_size, stride, padding, dilation)
    h_out, w_out = window.output_size("patch_indices", (shape[2], shape[3]))
    k, p, q = (axis.reshape(-1, 1) for axis in np.indices((shape[1], *window.kernel_size)))
    a, b = (axis.reshape(1, -1) for axis in np.indices((h_out, w_out)))
    return k, a * window.stride[0] + p * window.dilation[0], b * window.stride[1] + q * window.dilation[1]


def image_to_column_vjp(
    grad: Array, y: Array, x: Array, kernel_size: Size, stride: Size = 1, padding: Padding = 0, dilation: Size = 1
) -> tuple[Array]:
    """The gradient of `x`: every copy of a pixel gives its gradient back."""
    return (column_to_image(grad, x.shape, kernel_size, stride, padding, dilation),)


@differentiable(image_to_column_vjp)
def image_to_column(x: Array, kernel_size: Size, stride: Size = 1, padding: Padding = 0, dilation: Size = 1) -> Array:
    """The patch matrix of images: a column for each window, a row for each channel and tap.

    The columns of an image follow those of the image before it, and its windows are in the order of the result's
    pixels, row by row; the rows are in the order of a kernel's values. See `patch_indices`.

    Args:
        x: (n, c, h, w), any floating dtype.
        kernel_size: rows and columns of a kernel.
        stride: the step of the windows.
        padding: zeros around the image, see `determine_padding`.
        dilation: the step between two taps of a kernel.

    Returns:
        (c*kh*kw, n*h_out*w_out), dtype of `x`. May be a view of `x`.

    Raises:
        ValueError: a size that cannot be used, or a padded image smaller than the kernel.

    Source: torch.nn.functional.unfold, whose (n, c*kh*kw, h_out*w_out) has the images first.
    """
    check_image_batch("image_to_column", x.shape)
    check_dtypes("image_to_column", x)
    window = patch_window("image_to_column", kernel_size, stride, padding, dilation)
    return to_columns(x, window, window.output_size("image_to_column", (x.shape[2], x.shape[3])))


def column_to_image_vjp(
    grad: Array,
    y: Array,
    columns: Array,
    shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> tuple[Array]:
    """The gradient of `columns`: every copy of a pixel gets the pixel's."""
    return (image_to_column(grad, kernel_size, stride, padding, dilation),)


@differentiable(column_to_image_vjp)
def column_to_image(
    columns: Array,
    shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> Array:
    """The transpose of `image_to_column`: adds the values of all windows up where they came from.

    It does not undo `image_to_column`: a pixel in three windows comes back three times as large, one in none as 0. It
    is its transpose: <column_to_image(c), x> = <c, image_to_column(x)> for every c and x.

    Args:
        columns: (c*kh*kw, n*h_out*w_out), any floating dtype.
        shape: (n, c, h, w) of the images.
        kernel_size: rows and columns of a kernel.
        stride: the step of the windows.
        padding: of the images; what lies in it is dropped.
        dilation: the step between two taps of a kernel.

    Returns:
        (n, c, h, w), dtype of `columns`.

    Raises:
        ValueError: a size that cannot be used, a padded image smaller than the kernel, or columns of another shape.

    Source: torch.nn.functional.fold.
    """
    check_image_batch("column_to_image", shape)
    check_dtypes("column_to_image", columns)
    window = patch_window("column_to_image", kernel_size, stride, padding, dilation)
    n, c, h, w = shape
    out = window.output_size("column_to_image", (h, w))
    expected = (c * window.kernel_size[0] * window.kernel_size[1], n * out[0] * out[1])
    if columns.shape != expected:
        raise refusal(
            f"column_to_image: wrong shape, got columns {columns.shape}, expected {expected}",
            help=f"a row for each channel and tap, a column for each of {out[0]}x{out[1]} windows of each image",
        )
    return from_columns(columns, shape, window, out)
