"""What the builders of a plan share: sizes, arrays, the steps and the lines written so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten.fused.bands import Band, cut_bands, share
from layerdiff.handwritten.fused.blocks import Blocks, is_late
from layerdiff.handwritten.fused.calls import Call, Step
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.memory import Memory
from layerdiff.handwritten.fused.products import Weights, lay_out
from layerdiff.handwritten.fused.tricks import Tricks
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Line", "WeightStore", "Workshop"]

_ABOUT = 784
_WHOLE = 300

Line = tuple[str, str, str]
"""A layer, how it runs, and why."""


class WeightStore:
    """Weights as the products want them, each laid out once for all plans of a network.

    Args:
        dtype: of the products.
    """

    def __init__(self, dtype: np.dtype[np.floating]) -> None:
        self.memory = Memory(dtype)
        self._found: dict[object, Weights] = {}

    def get(self, key: object, blocks: Blocks, matrix: Callable[[], NDArray[np.float64]]) -> Weights:
        """The weights called `key`, cut into `blocks`; `matrix` computes them, (*lead, depth, columns)."""
        if (key, blocks) not in self._found:
            values = matrix()
            self._found[key, blocks] = lay_out(values, blocks, self.memory.take(values.size))
        return self._found[key, blocks]


class Workshop:
    """Collects the steps of a plan.

    Args:
        images: how many at a time.
        threads: that share the work.
        tricks: in use.
        small: whether products are cut for kernels for small matrices.
        weights: of the network.
    """

    def __init__(self, images: int, threads: int, tricks: Tricks, *, small: bool, weights: WeightStore) -> None:
        self.images = images
        self.threads = threads
        self.tricks = tricks
        self.small = small
        self.weights = weights
        self.dtype = weights.memory.dtype
        self.memory = Memory(self.dtype)
        self.steps: list[Step] = []
        self.lines: list[Line] = []
        self._shared: dict[tuple[str, tuple[int, ...]], Array] = {}
        self._scratch: dict[tuple[int, str], Array] = {}

    def image(self, height: int, width: int, channels: int) -> Image:
        """A fresh batch of images without a frame."""
        return Image(self.memory.take(self.images, height, width, channels), 0, height, width)

    def framed(
        self, height: int, width: int, frame: tuple[int, int, int], channels: int, *, role: str | None = None
    ) -> Image:
        """A batch of images in a frame of zeros.

        Args:
            height: within the frame.
            width: within the frame.
            frame: rows or columns above and left, rows below, columns to the right.
            channels: of a pixel.
            role: if any, all layers that ask for this shape in this role get the same images; else they are fresh.
        """
        before, below, right = frame
        shape = (self.images, before + height + below, before + width + right, channels)
        array = self.memory.take(*shape) if role is None else self.shared(f"{role} {frame}", *shape)
        array[...] = 0
        return Image(array, before, height, width)

    def scratch(self, thread: int, role: str, size: int) -> Array:
        """A flat array that the calls of one group use among themselves: the next group may have the same one."""
        found = self._scratch.get((thread, role))
        if found is None or found.size < size:
            found = self._scratch[thread, role] = self.memory.take(size)
        return found[:size]

    def shared(self, role: str, *shape: int) -> Array:
        """An array that all threads see, the same one for all layers that ask for this shape in this role."""
        if (role, shape) not in self._shared:
            self._shared[role, shape] = self.memory.take(*shape)
        return self._shared[role, shape]

    def bands(self, height: int, width: int) -> tuple[Band, ...]:
        """How images of this size are cut."""
        return cut_bands(self.images, height, width, about=_ABOUT, whole=_WHOLE)

    def splits_columns(self, height: int, width: int) -> bool:
        """Whether threads share out the channels of such images: where there are too few rows for all."""
        bands = len(self.bands(height, width))
        uneven = bands < self.threads or (bands % self.threads != 0 and bands < 4 * self.threads)
        return self.threads > 1 and (uneven or is_late(self.images * height * width))

    def by_bands(self, bands: Sequence[Band], make: Callable[[Band, int], list[Call]], *, local: bool = False) -> None:
        """Adds a step in which each thread has some of the bands; `make(band, thread)` says what is done to one."""
        mine = [bands[share(len(bands), self.threads, thread)] for thread in range(self.threads)]
        parts = (tuple(tuple(make(band, thread)) for band in mine[thread]) for thread in range(self.threads))
        self.steps.append(Step(tuple(parts), tuple(map(tuple, mine)), local=local))

    def by_columns(self, count: int, make: Callable[[slice, int], list[Call]]) -> None:
        """Adds a step in which each thread has some of `count` blocks of channels."""
        shares = [share(count, self.threads, thread) for thread in range(self.threads)]
        parts = ((tuple(make(own, thread)),) if own.start < own.stop else () for thread, own in enumerate(shares))
        self.steps.append(Step(tuple(parts)))

    def alone(self, calls: list[Call]) -> None:
        """Adds a step that the first thread does alone."""
        self.steps.append(Step(((tuple(calls),), *((),) * (self.threads - 1))))

    def say(self, layer: str, how: str, why: str) -> None:
        """Adds a line to what is printed of the plan."""
        self.lines.append((layer, how, why))
