"""A residual network that keeps what every layer gives: one plan for each shape of batch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from layerdiff.handwritten.configurations import Configuration, configuration
from layerdiff.handwritten.fused.arguments import check_images, checked_dtype, checked_threads, ends_of
from layerdiff.handwritten.fused.blas import has_small_kernels
from layerdiff.handwritten.fused.parts import parts_of
from layerdiff.handwritten.fused.team import Team
from layerdiff.handwritten.fused.tricks import Tricks
from layerdiff.handwritten.fused.workshop import WeightStore, Workshop
from layerdiff.handwritten.kept.normed import normed
from layerdiff.handwritten.kept.plan import Plan
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_resnet import ResNet

__all__ = ["KeptResNet", "build"]

_PLANS = 2


class KeptResNet:
    """Computes every layer of `numpy_resnet.ResNet` in eval mode, to within rounding, in arrays of its own.

    No layer is left out and none is made part of another: a convolution's own output is there, its batch norm's and the
    rectifier's. Without `winograd` convolutions are sums of the products that the textbook network adds up too, in
    another order. With it, they round a little more, and still stay far below what is allowed for the textbook's.

    The same network gives the same bits for the same images, with any number of threads.

    Args:
        config: which network of the family.
        state: its weights by torchvision's names, in any floating dtype; they are copied.
        threads: that share the work, all usable CPUs unless given.
        dtype: of the images and of all that is computed, float32 or float64.
        winograd: whether 3x3 convolutions of stride 1 take fewer multiplications, see `fused.winograd`.

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
        dtype: DTypeLike = np.float32,
        winograd: bool = True,
    ) -> None:
        self.dtype = checked_dtype("KeptResNet", dtype)
        self.threads = checked_threads("KeptResNet", threads)
        self._tricks = Tricks(winograd=winograd)
        self._channels, classes = ends_of(state)
        twin = ResNet(config, num_classes=classes, in_channels=self._channels, stem_bias="conv1.bias" in state)
        twin.load_state_dict(state)
        self._parts = parts_of(config, twin.state_dict(), normed)
        self._weights = WeightStore(self.dtype)
        self._team = Team(self.threads)
        self._plans: OrderedDict[tuple[int, ...], Plan] = OrderedDict()
        self._busy = threading.Lock()

    def layers(self, x: Array) -> dict[str, Array]:
        """What every layer gives for `x`, in the order in which they run.

        Args:
            x: (n, c, h, w), the network's dtype, normalised as the weights' recipe says.

        Returns:
            By torchvision's names ("conv1", "layer1.0.relu_1", "layer1.0.add", ...), (n, c, h, w), or (n, features) for
            "flatten" and "fc". They are views of the network's own arrays, the channels last in memory: the next call
            for images of this shape overwrites them, and they are not to be written to.

        Raises:
            ValueError: not such images; all that is wrong is listed.
        """
        check_images("KeptResNet", x, self._channels, self.dtype)
        with self._busy:
            return self._plan(x.shape)(x)

    def __call__(self, x: Array) -> Array:
        """The logits of `x`, a fresh (n, classes); arguments and errors are those of `layers`."""
        check_images("KeptResNet", x, self._channels, self.dtype)
        with self._busy:
            return self._plan(x.shape)(x)["fc"].copy()

    def plan(self, shape: tuple[int, int, int, int]) -> Plan:
        """The plan for batches of `shape`, to be looked at; it is made now if there is none yet."""
        with self._busy:
            return self._plan(shape)

    def _plan(self, shape: tuple[int, ...]) -> Plan:
        if shape not in self._plans:
            n, c, h, w = shape
            while len(self._plans) >= _PLANS:
                self._plans.popitem(last=False)
            shop = Workshop(n, self.threads, self._tricks, small=has_small_kernels(), weights=self._weights)
            self._plans[shape] = Plan(self._parts, (n, c, h, w), shop, self._team)
        self._plans.move_to_end(shape)
        return self._plans[shape]


def build(
    name: str,
    state: Mapping[str, Array],
    *,
    threads: int | None = None,
    dtype: DTypeLike = np.float32,
    winograd: bool = True,
) -> KeptResNet:
    """The network called `name` with the weights `state`; see `KeptResNet`.

    Raises:
        ValueError: there is none of that name, or as `KeptResNet`.
    """
    return KeptResNet(configuration(name), state, threads=threads, dtype=dtype, winograd=winograd)
