"""The allowance of a sum of products: convolution, linear, average.

Let y be the sum of the n products w_i·x_i, computed in any order, with or without fused multiply-add. In the worst
case the error is n·u·Σ|w_i||x_i|, which hardly anything ever reaches and which therefore tells nothing. Rounding
errors are of both signs and nearly independent, and then the factor n becomes √n (Higham & Mary, "A new approach to
probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019). By Cauchy-Schwarz Σ|w_i||x_i| <= ‖w‖·‖x‖, and
so the error of one implementation is at most about

    u · √n · ‖w‖₂ · ‖x‖₂

with w the filter and x the window it looks at. A bias b is one more term, and a sum may begin with it: then it takes
part in every rounding, and the bound is u·√(n+1)·(‖w‖·‖x‖ + |b|). `‖x‖₂²` for all windows is a box filter over the
squares summed over channels: one channel's work, whatever the number of filters.

The constant. Over all architectures, photos, thread counts, memory formats and convolution grades no kernel's error
was above 1.12 of that scale (docs/allowance.md has the table, benchmarks/allowance.py makes it). Two
implementations may err in opposite directions: 2.24. `CONSTANT` is 4, which leaves a margin of 1.8 over the worst pair
that the measurement allows, and of 3.6 over the worst single kernel.
"""

from __future__ import annotations

import numpy as np

from layerdiff.compare.allowance.rule import Array, smallest_normal, unit_roundoff
from layerdiff.compare.pieces import PIECE, pieces

__all__ = ["CONSTANT", "WHY", "accumulation_line", "accumulation_scale", "row_norms", "window_norms"]

CONSTANT = 4.0
WHY = "measured: no kernel errs by more than 1.12, two may err in opposite directions, and a margin of 1.8"


def accumulation_scale(
    n: int,
    weight_norm: Array | float,
    patch_norm: Array,
    dtype: np.dtype[np.floating],
    *,
    bias: Array | None = None,
) -> Array:
    """u·√n·‖w‖·‖x‖, and what underflow may add, for a sum of n products; with a bias u·√(n+1)·(‖w‖·‖x‖ + |b|).

    Args:
        n: the number of products.
        weight_norm: ‖w‖₂, broadcasting against `patch_norm`.
        patch_norm: ‖x‖₂ of each window, float64.
        dtype: the one that was computed in.
        bias: broadcasting against the result; None where there is none.
    """
    slope, rest = accumulation_line(n, weight_norm, dtype, bias=bias)
    scale: Array = slope * patch_norm + rest
    return scale


def accumulation_line(
    n: int,
    weight_norm: Array | float,
    dtype: np.dtype[np.floating],
    *,
    bias: Array | None = None,
    times: float = 1.0,
) -> tuple[Array | float, Array | float]:
    """`accumulation_scale`, `times` as much, as a straight line over ‖x‖: its slope, and what it is at 0.

    Args:
        n: the number of products.
        weight_norm: ‖w‖₂.
        dtype: the one that was computed in.
        bias: broadcasting against `weight_norm`; None where there is none.
        times: the factor.
    """
    one = times * unit_roundoff(dtype) * np.sqrt(n if bias is None else n + 1)
    # A product that underflows loses at most the smallest normal number, however small it was.
    underflow = times * n * smallest_normal(dtype)
    return one * weight_norm, underflow if bias is None else one * np.abs(bias.astype(np.float64)) + underflow


def row_norms(rows: Array) -> Array:
    """The Euclidean norm of every row: (rows,) float64 for (rows, n)."""
    found, step = np.empty(len(rows)), max(1, PIECE // max(1, rows.shape[1]))
    for at in pieces(len(rows), first=step, length=step):
        wide = rows[at].astype(np.float64)
        found[at] = np.vecdot(wide, wide)
    return np.sqrt(found, out=found)


def window_norms(
    squares: Array,
    *,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    size: tuple[int, int],
) -> Array:
    """The Euclidean norm of every window.

    Args:
        squares: (n, g, h, w) float64, the squares of the input summed over the channels of each group.
        kernel_size: of the window.
        stride: of the windows.
        padding: zeros above and left of the map; below and right as many as the windows reach.
        dilation: of the window.
        size: (h_out, w_out).

    Returns:
        (n, g, h_out, w_out) float64.
    """
    (h_out, w_out), (kh, kw), (sh, sw), (dh, dw) = size, kernel_size, stride, dilation
    top, left = padding
    n, g, h, w = squares.shape
    height = max((h_out - 1) * sh + (kh - 1) * dh + 1, top + h)
    width = max((w_out - 1) * sw + (kw - 1) * dw + 1, left + w)
    padded = np.zeros((n, g, height, width))
    padded[:, :, top : top + h, left : left + w] = squares
    total = np.zeros((n, g, h_out, w_out))
    for i in range(kh):
        for j in range(kw):
            y, x = i * dh, j * dw
            total += padded[:, :, y : y + (h_out - 1) * sh + 1 : sh, x : x + (w_out - 1) * sw + 1 : sw]
    return np.sqrt(total)
