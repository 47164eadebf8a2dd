"""A network of the NumPy half as something that learns: tape, optimiser and loss put together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten import numpy_ops as ops
from layerdiff.handwritten.numpy_layer import Layer
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops.cross_entropy import Labels
from layerdiff.handwritten.optimisers import Optimiser
from layerdiff.handwritten.tape import Tape
from layerdiff.handwritten.training.learner import State
from layerdiff.handwritten.training.states import (
    apart_from,
    below,
    check_fit,
    pack_generator,
    prefixed,
    unpack_generators,
)

__all__ = ["NumpyLearner"]

_COUNT = "num_batches_tracked"  # of a batch norm: a number, and so no part of the state dict


class NumpyLearner:
    """A `Learner` of NumPy alone.

    Its state holds the network's arrays, the optimiser's, and what some layers keep besides arrays: a dropout's
    generator, and how many batches a batch norm has seen.

    Args:
        network: takes (n, c, h, w) in the dtype of its arrays, and gives logits (n, classes).
        optimiser: of the network's very arrays.
        loss: of logits and labels, averaged over the batch; a differentiable op, or made of such.
    """

    def __init__(
        self, network: Layer, optimiser: Optimiser, *, loss: Callable[[Array, Labels], Array] = ops.cross_entropy
    ) -> None:
        self.network = network
        self.optimiser = optimiser
        self.loss = loss

    def train_step(self, images: Array, labels: Labels, lr: float) -> tuple[float, int]:
        """One step, see `Learner.train_step`."""
        self.network.train()
        # A training that goes astray overflows; the loop looks at every loss, and says so in words.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            with Tape() as tape:
                logits = self.network(self._own(images))
                loss = self.loss(logits, labels)
            if math.isfinite(loss):
                self.optimiser.lr = lr
                self.optimiser.step(tape.gradients(loss, self.optimiser.parameters, keep=False))
        return float(loss), _correct(logits, labels)

    def evaluate(self, images: Array, labels: Labels) -> tuple[float, int]:
        """Loss and number of hits, see `Learner.evaluate`."""
        self.network.eval()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            logits = self.network(self._own(images))
            return float(self.loss(logits, labels)), _correct(logits, labels)

    def state(self) -> State:
        """Everything that further steps depend on, see `Learner.state`."""
        return {
            **prefixed("network", self.network.state_dict()),
            **prefixed("optimiser", self.optimiser.state_dict()),
            **prefixed("batches", self._counts()),
            **prefixed("random", {name: pack_generator(generator) for name, generator in self._generators()}),
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Takes up where `state()` was asked for, see `Learner.load_state`."""
        arrays, counts, generators = self.network.state_dict(), self._counts(), dict(self._generators())
        own = {**prefixed("network", arrays), **prefixed("batches", counts)}
        check_fit("NumpyLearner", apart_from(("optimiser", "random"), state), own)
        drawn = unpack_generators("NumpyLearner", below("random", state), generators)
        self.optimiser.load_state_dict(below("optimiser", state))
        for name, array in arrays.items():
            array[...] = state[f"network.{name}"]  # in place: the optimiser knows these very arrays
        for name, generator in generators.items():
            generator.bit_generator.state = drawn[name]
        for path, layer in self.network.named_layers():
            if path in counts:
                setattr(layer, _COUNT, int(state[f"batches.{path}"]))

    def _own(self, images: Array) -> Array:
        """The images in the network's dtype."""
        return images.astype(self.optimiser.parameters[0].dtype, copy=False)

    def _counts(self) -> dict[str, int]:
        layers = self.network.named_layers()
        return {path: vars(layer)[_COUNT] for path, layer in layers if _COUNT in vars(layer)}

    def _generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        for path, layer in self.network.named_layers():
            for name, value in vars(layer).items():
                if isinstance(value, np.random.Generator):
                    yield f"{path}.{name}".removeprefix("."), value


def _correct(logits: Array, labels: Labels) -> int:
    return int(np.count_nonzero(logits.argmax(axis=1) == labels))
