"""A plan: every layer of the network for a batch of one size, as a list of NumPy calls on arrays that are there."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, pairwise

import numpy as np

from layerdiff.handwritten.fused.barriers import to_phases
from layerdiff.handwritten.fused.blas import one_thread
from layerdiff.handwritten.fused.folding import Kernel
from layerdiff.handwritten.fused.head import head
from layerdiff.handwritten.fused.images import Image
from layerdiff.handwritten.fused.interleaving import interleave
from layerdiff.handwritten.fused.parts import Block, Parts
from layerdiff.handwritten.fused.team import Team
from layerdiff.handwritten.fused.workshop import Workshop
from layerdiff.handwritten.kept.convolution import convolve, frame_of
from layerdiff.handwritten.kept.following import Following
from layerdiff.handwritten.kept.normed import Normed
from layerdiff.handwritten.kept.outputs import Outputs
from layerdiff.handwritten.kept.pooling import max_pool, pooled_size
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["Plan"]


class Plan:
    """Every layer's output for a batch of images of one size.

    Attributes:
        shape: of the batch, (n, c, h, w).

    Args:
        parts: of the network.
        shape: of the batch.
        shop: without any step yet.
        team: whose threads run it, as many as the shop counts on.
    """

    def __init__(self, parts: Parts[Normed], shape: tuple[int, int, int, int], shop: Workshop, team: Team) -> None:
        self.shape = shape
        self._shop = shop
        self._team = team
        self._outputs = Outputs(shop)
        blocks = parts.blocks()
        first = next(blocks)
        self._entry, image = self._stem(parts.stem(), first.convolutions[0].kernel)
        for block in chain([first], blocks):
            image = self._block(block, image)
        means = self._outputs.image("avgpool", 1, 1, image.channels).inside.reshape(shop.images, -1, copy=False)
        self._outputs.arrays["flatten"] = means
        head(shop, parts, image, means, self._outputs.features("fc", len(parts.weight)))
        self._phases = to_phases(interleave(shop.steps), shop.threads)

    def __call__(self, x: Array) -> dict[str, Array]:
        """What every layer gives for `x`, (n, c, h, w) of the plan's shape and dtype, in the order they run.

        Returns:
            By torchvision's names, views of (n, c, h, w), or (n, features): the next call overwrites them.
        """
        np.copyto(self._entry, x.transpose(0, 2, 3, 1))
        with one_thread():
            self._team.run(self._phases)
        return {
            name: array.transpose(0, 3, 1, 2) if array.ndim == 4 else array
            for name, array in self._outputs.arrays.items()
        }

    @property
    def bytes(self) -> int:
        """Of all the arrays, without the weights."""
        return self._shop.memory.bytes

    def __str__(self) -> str:
        n, _, h, w = self.shape
        shop = self._shop
        calls = sum(len(part) for phase in self._phases for part in phase)
        return "\n".join(
            (
                f"{n} x {h}x{w}, {shop.dtype}, threads: {shop.threads}, phases: {len(self._phases)}, calls: {calls}",
                *(f"{layer:<22}{how:<30}{why}".rstrip() for layer, how, why in shop.lines),
            )
        )

    def _stem(self, first: Normed, after: Kernel) -> tuple[Array, Image]:
        """Adds the steps up to the pooling; where the images are to be put, and the result, framed for `after`."""
        p = first.kernel.padding
        entry = self._shop.framed(*self.shape[2:], (p, p, p), first.kernel.in_channels)
        image = self._rectified(first, entry, "relu")
        height, width = pooled_size(image.height), pooled_size(image.width)
        frame = frame_of(self._shop, after, height, width)
        out = self._outputs.image("maxpool", height, width, image.channels, frame)
        max_pool(self._shop, image, out.inside)
        return entry.inside, out

    def _block(self, block: Block[Normed], x: Image) -> Image:
        """Adds the steps of a residual block, and gives its output, framed as its first convolution asks."""
        now = x
        for i, (normed, after) in enumerate(pairwise(block.convolutions)):
            now = self._rectified(normed, now, f"{block.name}.{_relu(i)}", after.kernel)
        last = block.convolutions[-1]
        convolved, following = self._arrays(last, now)
        identity = x.inside if block.projection is None else self._projected(block.projection, x)
        _, height, width, channels = convolved.shape
        added = self._outputs.image(f"{block.name}.add", height, width, channels)
        # The block after this one begins with a convolution of the same kind, or with one whose frame is no larger.
        frame = frame_of(self._shop, replace(block.convolutions[0].kernel, stride=1), height, width)
        out = self._outputs.image(f"{block.name}.{_relu(len(block.convolutions) - 1)}", height, width, channels, frame)
        following = replace(following, identity=identity, summed=added.inside, rectified=out.inside)
        convolve(self._shop, last.kernel, now, convolved, following)
        return out

    def _rectified(self, normed: Normed, x: Image, name: str, after: Kernel | None = None) -> Image:
        """Adds convolution, batch norm and the rectifier `name`, its output framed for `after`, or for the pooling."""
        convolved, following = self._arrays(normed, x)
        _, height, width, channels = convolved.shape
        frame = frame_of(self._shop, after, height, width) if after else (1, 1, 1)
        out = self._outputs.image(name, height, width, channels, frame)
        convolve(self._shop, normed.kernel, x, convolved, replace(following, rectified=out.inside))
        return out

    def _projected(self, normed: Normed, x: Image) -> Array:
        """Adds convolution and batch norm alone."""
        convolved, following = self._arrays(normed, x)
        convolve(self._shop, normed.kernel, x, convolved, following)
        return following.normed

    def _arrays(self, normed: Normed, x: Image) -> tuple[Array, Following]:
        """Where a convolution's output goes, and its batch norm's."""
        kernel = normed.kernel
        shape = kernel.output_size(x.height), kernel.output_size(x.width), kernel.out_channels
        convolved, out = (self._outputs.image(name, *shape).inside for name in (kernel.name, normed.norm))
        bias = kernel.bias if kernel.bias.any() else None
        return convolved, Following(normed.scale, normed.shift, out, bias)


def _relu(number: int) -> str:
    """A block's rectifiers are one layer, used several times."""
    return f"relu_{number}" if number else "relu"
