"""The arithmetic of windows: how large a map a convolution or a pooling gives, and why it is not the expected one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from layerdiff.compare.trace import Op

__all__ = ["Window", "settings_that_differ", "why_size", "window_of"]

_NAMES = ("kernel_size", "stride", "padding", "dilation")


@dataclass(frozen=True)
class Window:
    """A window that slides along one axis.

    Attributes:
        kernel: its places.
        stride: how far it moves.
        padding: put on both ends.
        dilation: the distance of its places.
        ceil: whether a last window may hang over.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    ceil: bool = False

    @property
    def reach(self) -> int:
        """How many elements it spans."""
        return self.dilation * (self.kernel - 1) + 1

    def size(self, n: int) -> int:
        """How many places it has on `n` elements; below 1 where it does not fit.

        Source: torch.nn.Conv2d, torch.nn.MaxPool2d.
        """
        free = n + 2 * self.padding - self.reach
        if not self.ceil:
            return free // self.stride + 1
        places = -(-free // self.stride) + 1
        # The last window must start inside the map or the padding before it.
        return places - 1 if (places - 1) * self.stride >= n + self.padding else places

    def sum(self, n: int) -> str:
        """The size on `n` elements as a sum, without its result: `(56 + 2·1 - 3)/2 + 1`."""
        reach = str(self.kernel) if self.dilation == 1 else f"({self.dilation}·{self.kernel - 1} + 1)"
        inside = f"({n} + 2·{self.padding} - {reach})/{self.stride}"
        if (n + 2 * self.padding - self.reach) % self.stride:
            inside = f"⌈{inside}⌉" if self.ceil else f"⌊{inside}⌋"
        return f"{inside} + 1"


def window_of(attributes: Any, axis: int) -> Window | None:
    """The window of an operation with such attributes along the height (0) or the width (1); None if not known."""
    values = [attributes.get(name) for name in _NAMES]
    defaults = (None, 1, 0, 1)
    numbers: list[int] = []
    for value, default in zip(values, defaults, strict=True):
        given = default if value is None else value
        pair = (given, given) if isinstance(given, int) else given
        # 'same' and 'valid' are words.
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(size, int) for size in pair):
            return None
        numbers.append(int(pair[axis]))
    kernel, stride, padding, dilation = numbers
    return Window(kernel, stride, padding, dilation, ceil=bool(attributes.get("ceil_mode")))


def settings_that_differ(actual: Op, expected: Op) -> list[tuple[str, object, object]]:
    """Names of the settings of a window that are not equal, with the candidate's value and the expected one."""
    return [
        (name, actual.attributes.get(name), expected.attributes.get(name))
        for name in (*_NAMES, "ceil_mode")
        if name in expected.attributes and actual.attributes.get(name) != expected.attributes[name]
    ]


def why_size(actual: Op, expected: Op, size: tuple[int, int]) -> str:
    """The sums by which the operation and the one expected there give their maps out of one of `size` (h, w).

    Empty where both give the same, or their windows are not known.
    """
    for axis, n in enumerate(size):
        have, want = window_of(actual.attributes, axis), window_of(expected.attributes, axis)
        if have is None or want is None:
            return ""
        if have.size(n) != want.size(n):
            return f"{have.sum(n)} = {have.size(n)}, expected {want.sum(n)} = {want.size(n)}"
    return ""
