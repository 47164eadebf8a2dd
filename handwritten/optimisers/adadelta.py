"""AdaDelta: steps as long as the recent ones, so that no learning rate need be found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.optimisers.hyperparameters import BELOW_ONE, NOT_NEGATIVE, NOT_NEGATIVE_EACH, Kind
from layerdiff.handwritten.optimisers.optimiser import Optimiser, Parameters, WeightDecay, decayed

__all__ = ["Adadelta"]


class Adadelta(Optimiser):
    """Multiplies each gradient by the size of the recent steps over the size of the recent gradients.

        v = rho*v + (1 - rho)*g^2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho*u + (1 - rho)*d^2
        p = p - lr*d

    Args:
        parameters: to update in place.
        lr: a factor on every step; 1 in the paper.
        rho: the share of a running mean that a step keeps.
        eps: lets the first steps begin, and keeps the divisor away from zero.
        weight_decay: added to the gradient as `weight_decay * p`.

    Attributes:
        state: `square_avg` (v) and `acc_delta` (u).

    Raises:
        ValueError: see `Optimiser`.

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1; torch.optim.Adadelta.
    """

    kinds: ClassVar[Mapping[str, Kind]] = {
        "lr": NOT_NEGATIVE,
        "rho": BELOW_ONE,
        "eps": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE_EACH,
    }
    rho: float
    eps: float

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: WeightDecay = 0,
    ) -> None:
        super().__init__(parameters, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)

    def _buffer_names(self) -> tuple[str, ...]:
        return "square_avg", "acc_delta"

    def _update(self, parameter: Array, gradient: Array, weight_decay: float, buffers: dict[str, Array]) -> None:
        gradient = decayed(gradient, parameter, weight_decay)
        square_avg, acc_delta = buffers["square_avg"], buffers["acc_delta"]
        square_avg *= self.rho
        square_avg += (1 - self.rho) * gradient**2
        delta = np.sqrt(acc_delta + self.eps) / np.sqrt(square_avg + self.eps) * gradient
        acc_delta *= self.rho
        acc_delta += (1 - self.rho) * delta**2
        parameter -= self.lr * delta
