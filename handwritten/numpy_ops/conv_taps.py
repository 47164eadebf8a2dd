"""Convolution, grade `taps`: one matrix product for each tap of the kernel, the channels last in memory.

A convolution is a sum over the taps of its kernel. What a tap adds is the image, shifted to where the tap looks, times
the kernels' values at that tap:

    y[n, i, j, o] = sum over taps p, q, of the product of pixels x[n, i*stride + p*dilation - padding, ..., c] and
                    kernels weight[o, p, q, c]

With the channels last a pixel is a row of a matrix, so nothing is written out as patches, and what a tap would see of
the padding is left out. Only the order in memory is changed: shapes stay (n, c, h, w), as in torch's `channels_last`.

Source: Anderson et al., "Low-memory GEMM-based convolution algorithms for deep neural networks", 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from layerdiff.handwritten.geometry import Pair, Window
from layerdiff.handwritten.numpy_ops._arrays import Array, channels_last
from layerdiff.handwritten.numpy_ops.conv_gemm import conv2d_gemm, conv2d_gemm_vjp

__all__ = ["conv2d_taps", "conv2d_taps_vjp"]


_THIN = 16  # channels of a group for which a product for each tap is too thin to be fast


@dataclass(frozen=True)
class _Tap:
    """A tap: where it stands in the kernel, which pixels it sees, and which windows see them."""

    place: tuple[slice, int, int]
    seen: tuple[slice, slice, slice]
    windows: tuple[slice, slice, slice]


def conv2d_taps(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """Convolves by one product for each tap and group, and for all pixels; see `conv2d`.

    Where there are few channels, as in a photo, it is grade `gemm` that convolves.
    """
    if weight.shape[1] < _THIN:
        return channels_last(conv2d_gemm(x, weight, window, groups))
    pixels, kernels = _pixels(x), _pixels(weight)
    n, *size, _ = pixels.shape
    out = window.output_size("conv2d", (size[0], size[1]))
    total = _Sum((n, *out, len(weight)), x.dtype)
    for tap in _taps(window, (size[0], size[1]), out):
        seen = _by_group(pixels[tap.seen], groups)
        total.add(tap.windows, seen @ _split(kernels[tap.place], groups).swapaxes(1, 2))
    return _channels_first(total.values)


def conv2d_taps_vjp(grad: Array, x: Array, weight: Array, window: Window, groups: int) -> tuple[Array, Array]:
    """The gradients of `x` and `weight`: two products for each tap and group.

    With X the pixels that a tap sees, W the kernels' values there and G the gradient of X W^T:

        gradient of W:   G^T X
        gradient of X:   G W
    """
    if weight.shape[1] < _THIN:
        grad_x, grad_weight = conv2d_gemm_vjp(grad, x, weight, window, groups)
        return channels_last(grad_x), channels_last(grad_weight)
    pixels, kernels, rows = (_pixels(array) for array in (x, weight, grad))
    taps = _taps(window, pixels.shape[1:3], rows.shape[1:3])
    total, grad_kernels = _Sum(pixels.shape, x.dtype), np.empty_like(kernels)
    if len(taps) < math.prod(window.kernel_size):
        grad_kernels[...] = 0
    for tap in taps:
        seen, part = _by_group(pixels[tap.seen], groups), _by_group(rows[tap.windows], groups)
        total.add(tap.seen, part @ _split(kernels[tap.place], groups))
        np.matmul(part.swapaxes(1, 2), seen, out=_split(grad_kernels[tap.place], groups))
    return _channels_first(total.values), _channels_first(grad_kernels)


class _Sum:
    """Products of pixels, added up where they belong; 0 where none does.

    The first one, if it is for all pixels, is where the others are added: a 1x1 convolution adds nothing.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> None:
        self._shape, self._dtype = shape, dtype
        self._values: Array | None = None

    @property
    def values(self) -> Array:
        """The sum so far, (n, h, w, c)."""
        if self._values is None:
            self._values = np.zeros(self._shape, dtype=self._dtype)
        return self._values

    def add(self, place: tuple[slice, slice, slice], products: Array) -> None:
        """Adds (groups, pixels, c/groups) to the pixels of `place`."""
        joined = products.swapaxes(0, 1)
        if self._values is None and joined.size == math.prod(self._shape):
            self._values = joined.reshape(self._shape)
        else:
            into = self.values[place]
            into += joined.reshape(into.shape)


def _taps(window: Window, size: Pair, out: Pair) -> list[_Tap]:
    """All taps that see any pixel of an image of `size`, those first that are seen by the most windows."""
    every = slice(None)
    found = []
    for p in range(window.kernel_size[0]):
        for q in range(window.kernel_size[1]):
            rows, columns = (_overlap(window, axis, tap, size, out) for axis, tap in enumerate((p, q)))
            if rows and columns:
                found.append(_Tap((every, p, q), (every, rows[0], columns[0]), (every, rows[1], columns[1])))
    return sorted(found, key=lambda tap: -_length(tap.windows[1]) * _length(tap.windows[2]))


def _overlap(window: Window, axis: int, tap: int, size: Pair, out: Pair) -> tuple[slice, slice] | None:
    """The rows (axis 0) or columns (axis 1) that a tap sees, and the windows in which it sees them."""
    step, start = window.stride[axis], tap * window.dilation[axis] - window.padding[axis]
    first = max(0, -(start // step))
    last = min(out[axis], (size[axis] - 1 - start) // step + 1)
    if first >= last:
        return None
    return slice(first * step + start, (last - 1) * step + start + 1, step), slice(first, last)


def _length(windows: slice) -> int:
    return int(windows.stop - windows.start)


def _by_group(rows: Array, groups: int) -> Array:
    """(n, h, w, c) as (groups, n*h*w, c/groups)."""
    return rows.reshape(-1, groups, rows.shape[3] // groups).swapaxes(0, 1)


def _split(kernels: Array, groups: int) -> Array:
    """(c_out, c_in/groups) as (groups, c_out/groups, c_in/groups), a view."""
    return kernels.reshape(groups, -1, kernels.shape[1])


def _pixels(x: Array) -> Array:
    """(n, h, w, c), contiguous; a view where `x` lies so in memory already."""
    return channels_last(x).transpose(0, 2, 3, 1)


def _channels_first(x: Array) -> Array:
    """(n, c, h, w), a view."""
    return x.transpose(0, 3, 1, 2)
