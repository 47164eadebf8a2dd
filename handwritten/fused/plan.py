"""A plan: all that is computed for a batch of one size, as a flat list of NumPy calls on arrays that are there."""

from __future__ import annotations

from functools import partial
from itertools import chain

import numpy as np

from layerdiff.handwritten.fused.barriers import to_phases
from layerdiff.handwritten.fused.blas import one_thread
from layerdiff.handwritten.fused.calls import copy
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.head import head
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.interleaving import interleave
from layerdiff.handwritten.fused.parts import Parts
from layerdiff.handwritten.fused.residual import output_of_stem, residual
from layerdiff.handwritten.fused.stem import stem
from layerdiff.handwritten.fused.team import Team
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Plan"]


class Plan:
    """The logits of a batch of images of one size.

    Attributes:
        shape: of the batch, (n, c, h, w).

    Args:
        parts: of the network.
        shape: of the batch.
        shop: without any step yet.
        team: whose threads run it, as many as the shop counts on.
        keep: whether the outputs of the blocks are copied, see `blocks`.
    """

    def __init__(
        self, parts: Parts[Kernel], shape: tuple[int, int, int, int], shop: Workshop, team: Team, *, keep: bool = False
    ) -> None:
        n, self.shape = shape[0], shape
        self._shop = shop
        self._team = team
        self._kept: dict[str, Array] = {}
        blocks = parts.blocks()
        first = next(blocks)
        self._entry, image = stem(shop, parts.stem(), *shape[2:], partial(output_of_stem, shop, first))
        self._keep("maxpool", image, keep)
        for block in chain([first], blocks):
            image = residual(shop, block, image)
            self._keep(f"{block.name}.relu_{len(block.convolutions) - 1}", image, keep)
        self._logits = shop.memory.take(n, len(parts.weight))
        head(shop, parts, image, shop.memory.take(n, image.channels), self._logits)
        steps = interleave(shop.steps) if shop.tricks.interleaved else shop.steps
        self._phases = to_phases(steps, shop.threads)

    def __call__(self, x: Array) -> Array:
        """The logits of `x`, (n, classes); `x` is (n, c, h, w) of the plan's shape and dtype."""
        # Channel by channel NumPy reads the image in the order in which it lies.
        for channel in range(x.shape[1]):
            np.copyto(self._entry[..., channel], x[:, channel])
        with one_thread():
            self._team.run(self._phases)
        return self._logits.copy()

    def blocks(self, x: Array) -> dict[str, Array]:
        """What comes out of the pooling, of every block and at the end, by torchvision's names, (n, c, h, w).

        Raises:
            ValueError: the plan was made without `keep`.
        """
        logits = self(x)
        return {name: np.ascontiguousarray(kept.transpose(0, 3, 1, 2)) for name, kept in self._kept.items()} | {
            "fc": logits
        }

    @property
    def bytes(self) -> int:
        """Of the arrays between image and logits, without the weights."""
        return self._shop.memory.bytes

    @property
    def phases(self) -> int:
        """How often the threads meet."""
        return len(self._phases)

    def __str__(self) -> str:
        n, _, h, w = self.shape
        shop = self._shop
        calls = sum(len(part) for phase in self._phases for part in phase)
        lines = [
            f"{n} x {h}x{w}, {shop.dtype}, threads: {shop.threads}, phases: {self.phases}, calls: {calls}",
            f"tricks: {', '.join(shop.tricks.names()) or 'none'}",
            *(f"{layer:<22}{how:<30}{why}".rstrip() for layer, how, why in shop.lines),
        ]
        return "\n".join(lines)

    def _keep(self, name: str, image: Image, keep: bool) -> None:
        if keep:
            inside = image.inside
            kept = self._kept[name] = np.empty(inside.shape, dtype=inside.dtype)
            self._shop.alone([copy(inside, kept)])
