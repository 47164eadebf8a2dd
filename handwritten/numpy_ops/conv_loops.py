"""Convolution, grade `loops`: the definition, multiplication by multiplication."""

from __future__ import annotations

import numpy as np

from layerdiff.handwritten.geometry import Window
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["conv2d_loops"]


def conv2d_loops(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """Convolves by seven nested loops; see `conv2d`.

    Nothing is padded: a tap outside the image would multiply a zero, so the loops leave it out.
    """
    n, _, h, w = x.shape
    c_out, c_in, kh, kw = weight.shape  # c_in of one group
    h_out, w_out = window.output_size("conv2d", (h, w))
    y = np.empty((n, c_out, h_out, w_out), dtype=x.dtype)
    for b in range(n):
        for o in range(c_out):
            first = o // (c_out // groups) * c_in
            for i in range(h_out):
                top, p_start, p_stop = _clip(i, h, kh, window, axis=0)
                for j in range(w_out):
                    left, q_start, q_stop = _clip(j, w, kw, window, axis=1)
                    total = x.dtype.type(0)
                    for c in range(c_in):
                        for p in range(p_start, p_stop):
                            row = top + p * window.dilation[0]
                            for q in range(q_start, q_stop):
                                column = left + q * window.dilation[1]
                                total += x[b, first + c, row, column] * weight[o, c, p, q]
                    y[b, o, i, j] = total
    return y


def _clip(index: int, size: int, kernel_size: int, window: Window, *, axis: int) -> tuple[int, int, int]:
    """Where window `index` starts, perhaps before the image, and the range of its taps that lie within it."""
    start = index * window.stride[axis] - window.padding[axis]
    dilation = window.dilation[axis]
    first_inside = -(start // dilation)
    first_beyond = -((start - size) // dilation)
    return start, max(0, first_inside), min(kernel_size, first_beyond)
