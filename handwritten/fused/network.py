"""A residual network for inference alone, as fast as NumPy lets it be: one plan for each shape of batch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.configurations import Configuration, configuration
from layerdiff.handwritten.fused.arguments import check_images, checked_dtype, checked_threads, ends_of
from layerdiff.handwritten.fused.blas import has_small_kernels
from layerdiff.handwritten.fused.folding import fold
from layerdiff.handwritten.fused.parts import parts_of
from layerdiff.handwritten.fused.plan import Plan
from layerdiff.handwritten.fused.team import Team
from layerdiff.handwritten.fused.tricks import Tricks
from layerdiff.handwritten.fused.workshop import WeightStore, Workshop
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_resnet import ResNet

__all__ = ["FusedResNet", "build"]

_PLANS = 4


class FusedResNet:
    """Classifies images as `numpy_resnet.ResNet` does, to within rounding, by other means.

    The textbook network computes every layer for itself and keeps what it gives. This one computes the logits alone:
    batch norms are folded away, channels come last, arrays are allocated once, and what to do is a list of calls.
    Each of the ideas has a file of its own beside this one; `tricks` says which are in use.

    The same network gives the same bits for the same images, with any number of threads.

    Args:
        config: which network of the family.
        state: its weights by torchvision's names, in any floating dtype; they are copied.
        threads: that share the work, all usable CPUs unless given.
        tricks: the ideas in use.
        dtype: of the images and of all that is computed, float32 or float64.

    Raises:
        ValueError: tensors are missing, unexpected, misshapen, not floating or not finite, or an argument is of no use;
            all problems of a kind are listed.
    """

    def __init__(
        self,
        config: Configuration,
        state: Mapping[str, Array],
        *,
        threads: int | None = None,
        tricks: Tricks | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.dtype = checked_dtype("FusedResNet", dtype)
        self.threads = checked_threads("FusedResNet", threads)
        self.tricks = _checked_tricks(tricks or Tricks())
        self._channels, classes = ends_of(state)
        twin = ResNet(config, num_classes=classes, in_channels=self._channels, stem_bias="conv1.bias" in state)
        twin.load_state_dict(state)
        self._parts = parts_of(config, twin.state_dict(), fold)
        self._weights = WeightStore(self.dtype)
        self._team = Team(self.threads)
        self._plans: OrderedDict[tuple[tuple[int, ...], bool], Plan] = OrderedDict()
        self._busy = threading.Lock()

    def __call__(self, x: Array) -> Array:
        """The logits of `x`.

        Args:
            x: (n, c, h, w), the network's dtype, normalised as the weights' recipe says.

        Returns:
            (n, classes), dtype of `x`. An image that holds NaN has logits of NaN.

        Raises:
            ValueError: not such images; all that is wrong is listed.
        """
        check_images("FusedResNet", x, self._channels, self.dtype)
        with self._busy:
            return self._plan(x.shape)(x)

    def blocks(self, x: Array) -> dict[str, Array]:
        """What comes out of the pooling ("maxpool"), of every block ("layer1.0.relu_2", ...) and at the end ("fc").

        Args:
            x: as for a call.

        Returns:
            By torchvision's names, fresh (n, c, h, w) arrays, the logits (n, classes).

        Raises:
            ValueError: as for a call.
        """
        check_images("FusedResNet", x, self._channels, self.dtype)
        with self._busy:
            return self._plan(x.shape, keep=True).blocks(x)

    def plan(self, shape: tuple[int, int, int, int]) -> Plan:
        """The plan for batches of `shape`, to be looked at; it is made now if there is none yet."""
        with self._busy:
            return self._plan(shape)

    def _plan(self, shape: tuple[int, ...], *, keep: bool = False) -> Plan:
        if (shape, keep) not in self._plans:
            self._plans[shape, keep] = self._made(shape, keep=keep)
            while len(self._plans) > _PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end((shape, keep))
        return self._plans[shape, keep]

    def _made(self, shape: tuple[int, ...], *, keep: bool) -> Plan:
        n, c, h, w = shape
        blocked = self.tricks.blocked
        small = has_small_kernels() if blocked == "auto" else blocked == "always"
        shop = Workshop(n, self.threads, self.tricks, small=small, weights=self._weights)
        return Plan(self._parts, (n, c, h, w), shop, self._team, keep=keep)


def build(
    name: str,
    state: Mapping[str, Array],
    *,
    threads: int | None = None,
    tricks: Tricks | None = None,
    dtype: DTypeLike = np.float32,
) -> FusedResNet:
    """The network called `name` with the weights `state`; see `FusedResNet`.

    Raises:
        ValueError: there is none of that name, or as `FusedResNet`.
    """
    return FusedResNet(configuration(name), state, threads=threads, tricks=tricks, dtype=dtype)


def _checked_tricks(tricks: Tricks) -> Tricks:
    if tricks.blocked not in {"auto", "always", "never"}:
        raise refusal(
            f"FusedResNet: unknown way to block products, got {tricks.blocked!r}, expected auto, always or never",
            help="auto asks the BLAS what kernels it has",
        )
    return tricks
