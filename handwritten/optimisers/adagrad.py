"""AdaGrad: a learning rate for each weight, by all the gradients it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.optimisers.hyperparameters import NOT_NEGATIVE, NOT_NEGATIVE_EACH, Kind
from layerdiff.handwritten.optimisers.optimiser import Optimiser, Parameters, WeightDecay, decayed

__all__ = ["Adagrad"]


class Adagrad(Optimiser):
    """Divides each gradient by the root of the sum of all its squares so far.

        s = s + g^2
        p = p - lr/(1 + (t - 1)*lr_decay) * g / (sqrt(s) + eps)

    Args:
        parameters: to update in place.
        lr: the learning rate.
        lr_decay: how fast it falls with the number of steps.
        weight_decay: added to the gradient as `weight_decay * p`.
        initial_accumulator_value: s before the first step.
        eps: keeps the divisor away from zero.

    Attributes:
        state: `sum`.

    Raises:
        ValueError: see `Optimiser`.

    Source: Duchi, Hazan & Singer, "Adaptive Subgradient Methods", 2011, figure 1 with a diagonal matrix;
    torch.optim.Adagrad.
    """

    kinds: ClassVar[Mapping[str, Kind]] = {
        "lr": NOT_NEGATIVE,
        "lr_decay": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE_EACH,
        "initial_accumulator_value": NOT_NEGATIVE,
        "eps": NOT_NEGATIVE,
    }
    lr_decay: float
    initial_accumulator_value: float
    eps: float

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: WeightDecay = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            parameters,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )

    def _buffer_names(self) -> tuple[str, ...]:
        return ("sum",)

    def _new_buffer(self, name: str, parameter: Array) -> Array:
        return np.full_like(parameter, self.initial_accumulator_value)

    def _update(self, parameter: Array, gradient: Array, weight_decay: float, buffers: dict[str, Array]) -> None:
        gradient = decayed(gradient, parameter, weight_decay)
        total = buffers["sum"]
        total += gradient**2
        lr = self.lr / (1 + (self.steps - 1) * self.lr_decay)
        parameter -= lr * gradient / (np.sqrt(total) + self.eps)
