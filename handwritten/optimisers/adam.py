"""Adam: running means of the gradients and of their squares, both freed from their start at zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.optimisers.hyperparameters import (
    FLAG,
    NOT_NEGATIVE,
    NOT_NEGATIVE_EACH,
    PAIR_BELOW_ONE,
    Kind,
)
from layerdiff.handwritten.optimisers.optimiser import Optimiser, Parameters, WeightDecay, decayed

__all__ = ["Adam"]


class Adam(Optimiser):
    """Moves each parameter by the running mean of its gradients over the root of the running mean of their squares.

        m = beta1*m + (1 - beta1)*g
        v = beta2*v + (1 - beta2)*g^2               w = max(w, v) in the place of v below, if amsgrad
        p = p - lr/(1 - beta1^t) * m / (sqrt(v)/sqrt(1 - beta2^t) + eps)

    Args:
        parameters: to update in place.
        lr: the learning rate.
        betas: the shares of the two running means that a step keeps.
        eps: keeps the divisor away from zero.
        weight_decay: added to the gradient as `weight_decay * p`; see `AdamW` for the other place.
        amsgrad: divides by the largest running mean of squares so far, so that no step grows.

    Attributes:
        state: `exp_avg` (m), `exp_avg_sq` (v), with amsgrad `max_exp_avg_sq` (w).

    Raises:
        ValueError: see `Optimiser`.

    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization", 2014, algorithm 1; Reddi et al., "On the
    Convergence of Adam and Beyond", 2018, algorithm 2; torch.optim.Adam.
    """

    kinds: ClassVar[Mapping[str, Kind]] = {
        "lr": NOT_NEGATIVE,
        "betas": PAIR_BELOW_ONE,
        "eps": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE_EACH,
        "amsgrad": FLAG,
    }
    betas: tuple[float, float]
    eps: float
    amsgrad: bool

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: WeightDecay = 0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)

    def _buffer_names(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if self.amsgrad else ()))

    def _update(self, parameter: Array, gradient: Array, weight_decay: float, buffers: dict[str, Array]) -> None:
        self._move(parameter, decayed(gradient, parameter, weight_decay), buffers)

    def _move(self, parameter: Array, gradient: Array, buffers: dict[str, Array]) -> None:
        beta1, beta2 = self.betas
        exp_avg, square = buffers["exp_avg"], buffers["exp_avg_sq"]
        exp_avg *= beta1
        exp_avg += (1 - beta1) * gradient
        square *= beta2
        square += (1 - beta2) * gradient**2
        if self.amsgrad:
            square = np.maximum(buffers["max_exp_avg_sq"], square, out=buffers["max_exp_avg_sq"])
        root = np.sqrt(square) / math.sqrt(1 - beta2**self.steps)
        parameter -= self.lr / (1 - beta1**self.steps) * exp_avg / (root + self.eps)
