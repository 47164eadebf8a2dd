"""How a window slides over an image: sizes and offsets, without any array.

Convolution and pooling share this arithmetic, and so do the torch and the NumPy half.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from layerdiff.handwritten._checks import refusal

__all__ = ["Padding", "Pair", "Sides", "Size", "Window", "adaptive_bounds", "flattened_shape", "padding_sides", "pair"]

Pair = tuple[int, int]
"""One number for the rows and one for the columns."""

Size = int | Sequence[int]
"""A pair, or the one number that stands for both."""

Padding = Size | Literal["valid", "same"]
"""Rows and columns of padding on either side; none; or what keeps an image's size."""

Sides = tuple[Pair, Pair]
"""Padding as (top, bottom) and (left, right)."""


def pair(where: str, name: str, value: Size, *, at_least: int) -> Pair:
    """`value` as a pair, rows first.

    Raises:
        ValueError: `value` is neither an int nor a pair of ints, or one of them is below `at_least`.
    """
    try:
        rows, columns = value if isinstance(value, Sequence) else (value, value)
        checked = operator.index(rows), operator.index(columns)
    except (TypeError, ValueError):
        checked = None
    if checked is None or min(checked) < at_least:
        raise refusal(
            f"{where}: unusable {name}, got {value!r}, expected an int or a pair of ints, at least {at_least}",
            help="a pair gives the rows first, then the columns",
        )
    return checked


@dataclass(frozen=True)
class Window:
    """The shape of a sliding window and its steps, each a pair for rows and columns.

    Attributes:
        kernel_size: rows and columns of the window.
        stride: the step from one window to the next.
        padding: rows and columns of padding that the windows may cover, on either side.
        dilation: the step between two neighbouring taps of a window.
        ceil_mode: whether a last window may hang over the padded edge, as torch's pooling allows.
        more_after: rows and columns of padding at the bottom and the right beyond `padding`.
    """

    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil_mode: bool = False
    more_after: Pair = (0, 0)

    @property
    def span(self) -> Pair:
        """Rows and columns from a window's first tap to its last, both included."""
        kh, kw = self.kernel_size
        dh, dw = self.dilation
        return dh * (kh - 1) + 1, dw * (kw - 1) + 1

    def output_size(self, where: str, size: Pair) -> Pair:
        """How many windows fit along the rows and the columns of an image of `size`.

            floor((h + 2*padding + more_after - span) / stride) + 1

        With `ceil_mode` the quotient is rounded up, unless the last window would then start past the image and the
        padding before it.

        Raises:
            ValueError: no window fits.

        Source: torch.nn.Conv2d, torch.nn.MaxPool2d; for the last rule `pooling_output_shape` in ATen.
        """
        out = self._windows_along(0, size[0]), self._windows_along(1, size[1])
        if min(out) < 1:
            padded = tuple(s + 2 * p + m for s, p, m in zip(size, self.padding, self.more_after, strict=True))
            raise refusal(
                f"{where}: the padded image is smaller than the kernel, "
                f"got {padded[0]}x{padded[1]}, expected at least {self.span[0]}x{self.span[1]}",
                help=f"the image is {size[0]}x{size[1]}, padding {self.padding}, kernel_size {self.kernel_size}, "
                f"dilation {self.dilation}: take a larger image or more padding",
            )
        return out

    def _windows_along(self, axis: int, size: int) -> int:
        stride, padding = self.stride[axis], self.padding[axis]
        room = size + 2 * padding + self.more_after[axis] - self.span[axis]
        if not self.ceil_mode:
            return room // stride + 1
        out = -(-room // stride) + 1
        return out - 1 if (out - 1) * stride >= size + padding else out

    def padding_after(self, size: Pair, out: Pair) -> Pair:
        """Rows below and columns to the right of an image of `size` that its last windows reach."""
        bottom, right = (
            max(0, (out[axis] - 1) * self.stride[axis] + self.span[axis] - self.padding[axis] - size[axis])
            for axis in (0, 1)
        )
        return bottom, right

    def check_pool_padding(self, where: str) -> None:
        """Refuses padding of more than half the kernel, dilated or not: a pooling window could lie in it entirely.

        Raises:
            ValueError: there is such padding.
        """
        limit = tuple(size // 2 for size in self.kernel_size)
        if any(p > most for p, most in zip(self.padding, limit, strict=True)):
            raise refusal(
                f"{where}: more padding than half the kernel, got {self.padding}, expected at most {limit}",
                help=f"kernel_size is {self.kernel_size}; more would let a window see nothing but padding",
            )

    def taps_counted(self, axis: int, size: int, out: int, *, include_padding: bool) -> list[int]:
        """How many rows (axis 0) or columns (axis 1) an average over each of the `out` windows counts.

        Those in the padding count where `include_padding`; those beyond it, which `ceil_mode` can reach, never do.
        """
        padding = self.padding[axis]
        first, last = (-padding, size + padding) if include_padding else (0, size)
        starts = (i * self.stride[axis] - padding for i in range(out))
        return [min(start + self.kernel_size[axis], last) - max(start, first) for start in starts]


def padding_sides(where: str, kernel_size: Size, padding: Padding, *, stride: Size = 1, dilation: Size = 1) -> Sides:
    """Padding as ((top, bottom), (left, right)).

    "same" needs dilation*(kernel_size - 1) rows and columns in all; of an odd number the last goes after the image.

    Raises:
        ValueError: a size or a word that cannot be used, or "same" with a stride, which keeps no size.

    Source: torch.nn.functional.conv2d.
    """
    kernel = pair(where, "kernel_size", kernel_size, at_least=1)
    steps = pair(where, "stride", stride, at_least=1)
    window = Window(kernel, dilation=pair(where, "dilation", dilation, at_least=1))
    if padding == "same":
        if steps != (1, 1):
            raise refusal(
                f"{where}: padding 'same' with a stride, got stride {steps}, expected (1, 1)",
                help="say how many rows and columns: padding=1 with a 3x3 kernel gives ceil(size/stride)",
            )
        rows, columns = ((span - 1) // 2 for span in window.span)
        return (rows, window.span[0] - 1 - rows), (columns, window.span[1] - 1 - columns)
    if padding == "valid":
        return (0, 0), (0, 0)
    if isinstance(padding, str):
        raise refusal(
            f"{where}: unknown padding, got {padding!r}, expected 'valid', 'same', an int or a pair of ints",
            help="'valid' is none, 'same' keeps the size of the image",
        )
    rows, columns = pair(where, "padding", padding, at_least=0)
    return (rows, rows), (columns, columns)


def adaptive_bounds(where: str, size: int, out: int) -> list[Pair]:
    """Start and end of the `out` windows that share `size` rows or columns out; neighbours may overlap.

    Raises:
        ValueError: there is nothing to share out.

    Source: torch.nn.AdaptiveAvgPool2d, start = floor(i*size/out), end = ceil((i + 1)*size/out).
    """
    if size < 1:
        raise refusal(
            f"{where}: an empty image has no mean, got {size} rows or columns, expected at least 1",
            help="look at the layer before this one",
        )
    return [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]


def flattened_shape(where: str, shape: Sequence[int], start_dim: int, end_dim: int) -> tuple[int, ...]:
    """`shape` with the axes from `start_dim` to `end_dim`, both included, joined into one; negative from the end.

    Raises:
        ValueError: there are no such axes, or they are in the wrong order.
    """
    start, end = (dim + len(shape) if dim < 0 else dim for dim in (start_dim, end_dim))
    if not 0 <= start <= end < len(shape):
        raise refusal(
            f"{where}: no such axes, got start_dim {start_dim} and end_dim {end_dim}, "
            f"expected an ascending pair within the {len(shape)} axes of {tuple(shape)}",
            help="negative numbers count from the end",
        )
    return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
