"""Convolution: one definition in four grades, which differ in speed and, by rounding, in the last bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from layerdiff.handwritten._checks import check_channels, check_groups, check_image_batch, refusal
from layerdiff.handwritten.geometry import Padding, Size, Window
from layerdiff.handwritten.numpy_ops._arrays import Array, check_dtypes, check_shapes
from layerdiff.handwritten.numpy_ops.conv_gemm import conv2d_gemm, conv2d_gemm_vjp
from layerdiff.handwritten.numpy_ops.conv_im2col import conv2d_im2col
from layerdiff.handwritten.numpy_ops.conv_loops import conv2d_loops
from layerdiff.handwritten.numpy_ops.conv_taps import conv2d_taps, conv2d_taps_vjp
from layerdiff.handwritten.numpy_ops.patches import patch_window
from layerdiff.handwritten.tape import differentiable

__all__ = ["Grade", "check_grade", "conv2d", "conv2d_vjp"]

Grade = Literal["loops", "im2col", "gemm", "taps"]
"""The seven nested loops of the definition, an explicit patch matrix, the fast one, or the one that trains fastest.

What `taps` gives has its channels last in memory, and all operations keep an order of memory that they are given.
"""

_GRADES: Mapping[str, Callable[[Array, Array, Window, int], Array]] = MappingProxyType(
    {"loops": conv2d_loops, "im2col": conv2d_im2col, "gemm": conv2d_gemm, "taps": conv2d_taps}
)


def conv2d_vjp(
    grad: Array,
    y: Array,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    grade: Grade = "gemm",
) -> tuple[Array, ...]:
    """The gradients of what `conv2d` takes: every value of `grad` gives to the pixels and taps that it was made from.

        x[n, c, i*stride + p*dilation - padding, ...] gets weight[o, c, p, q] * grad[n, o, i, j]
        weight[o, c, p, q] gets x[n, c, i*stride + p*dilation - padding, ...] * grad[n, o, i, j]
        bias[o] gets grad[n, o, i, j]

    `grad` is the gradient of `y`, which `conv2d` gave for the arguments that follow. Its grades compute one function,
    so the way back of `taps` is its own, and that of `gemm` serves all others.

    Returns:
        The gradients of `x`, of `weight` and, where there is one, of `bias`, each of its shape and dtype.
    """
    window = patch_window("conv2d", (weight.shape[2], weight.shape[3]), stride, padding, dilation)
    back = conv2d_taps_vjp if grade == "taps" else conv2d_gemm_vjp
    gradients = back(grad, x, weight, window, groups)
    return gradients if bias is None else (*gradients, grad.sum(axis=(0, 2, 3)))


@differentiable(conv2d_vjp)
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    grade: Grade = "gemm",
) -> Array:
    """Cross-correlates images with kernels.

        y[n, o, i, j] = bias[o] + sum over c, p, q of weight[o, c, p, q] * x[n, c, i*stride + p*dilation - padding, ...]

    Everything outside the image is zero. Sums are accumulated in the dtype of `x`.

    Args:
        x: (n, c_in, h, w), any floating dtype.
        weight: (c_out, c_in/groups, kh, kw), dtype of `x`.
        bias: (c_out,), dtype of `x`.
        stride: the step of the windows.
        padding: rows and columns of zeros around the image; "valid" for none; or "same", with stride 1, for as many as
            keep the size of the image, see `determine_padding`.
        dilation: the step between two taps of a kernel.
        groups: each of so many groups of channels is convolved with its own kernels.
        grade: how it is computed.

    Returns:
        (n, c_out, h_out, w_out), dtype of `x`, with h_out = floor((h + 2*padding - dilation*(kh - 1) - 1)/stride) + 1.

    Raises:
        ValueError: shapes, dtypes or sizes that do not fit, or a padded image smaller than the kernel.

    Source: torch.nn.functional.conv2d.
    """
    check_grade(grade)
    check_image_batch("conv2d", x.shape)
    _check_weight(weight)
    check_shapes("conv2d", weight.shape[:1], bias=bias)
    check_groups("conv2d", x.shape[1], weight.shape[0], groups)
    check_channels("conv2d", x.shape, weight.shape[1] * groups)
    check_dtypes("conv2d", x, weight=weight, bias=bias)
    window = patch_window("conv2d", (weight.shape[2], weight.shape[3]), stride, padding, dilation)
    y = _GRADES[grade](x, weight, window, groups)
    if bias is not None:
        y += bias[:, None, None]
    return y


def check_grade(grade: str) -> None:
    """Refuses a grade that there is not.

    Raises:
        ValueError: `grade` is none of them.
    """
    if grade not in _GRADES:
        raise refusal(
            f"conv2d: unknown grade, got {grade!r}, expected one of {', '.join(get_args(Grade))}",
            help="they agree but for rounding; 'gemm' is the fast one, 'taps' the one to train with",
        )


def _check_weight(weight: Array) -> None:
    if weight.ndim != 4 or min(weight.shape) < 1:
        raise refusal(
            f"conv2d: unusable weight, got shape {weight.shape}, expected (c_out, c_in/groups, kh, kw)",
            help="the output channels come first, as in torch",
        )
