"""RMSProp: a learning rate for each weight, by the size of its recent gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.optimisers.hyperparameters import BELOW_ONE, FLAG, NOT_NEGATIVE, NOT_NEGATIVE_EACH, Kind
from layerdiff.handwritten.optimisers.optimiser import Optimiser, Parameters, WeightDecay, decayed

__all__ = ["RMSprop"]


class RMSprop(Optimiser):
    """Divides each gradient by the root of a running mean of its squares.

        v = alpha*v + (1 - alpha)*g^2
        m = alpha*m + (1 - alpha)*g                 if centered
        d = g / (sqrt(v) + eps)                     if centered g / (sqrt(v - m^2) + eps)
        b = momentum*b + d
        p = p - lr*b

    Args:
        parameters: to update in place.
        lr: the learning rate.
        alpha: the share of a running mean that a step keeps.
        eps: keeps the divisor away from zero.
        weight_decay: added to the gradient as `weight_decay * p`.
        momentum: the share of the running sum of quotients that a step keeps; 0 for none.
        centered: divides by the root of the variance of the gradients, not of their mean square. As in torch it becomes
            NaN where gradients hardly change and rounding makes v - m^2 negative.

    Attributes:
        state: `square_avg`; with momentum `momentum_buffer`; if centered `grad_avg`.

    Raises:
        ValueError: see `Optimiser`.

    Source: Tieleman & Hinton, Neural Networks for Machine Learning, 2012, lecture 6.5; centered: Graves, "Generating
    Sequences With Recurrent Neural Networks", 2013, equations 38 to 41; torch.optim.RMSprop.
    """

    kinds: ClassVar[Mapping[str, Kind]] = {
        "lr": NOT_NEGATIVE,
        "alpha": BELOW_ONE,
        "eps": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE_EACH,
        "momentum": BELOW_ONE,
        "centered": FLAG,
    }
    alpha: float
    eps: float
    momentum: float
    centered: bool

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: WeightDecay = 0,
        momentum: float = 0,
        centered: bool = False,
    ) -> None:
        super().__init__(
            parameters, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
        )

    def _buffer_names(self) -> tuple[str, ...]:
        with_momentum = ("momentum_buffer",) if self.momentum else ()
        return ("square_avg", *with_momentum, *(("grad_avg",) if self.centered else ()))

    def _update(self, parameter: Array, gradient: Array, weight_decay: float, buffers: dict[str, Array]) -> None:
        gradient = decayed(gradient, parameter, weight_decay)
        variance = square_avg = buffers["square_avg"]
        square_avg *= self.alpha
        square_avg += (1 - self.alpha) * gradient**2
        if self.centered:
            grad_avg = buffers["grad_avg"]
            grad_avg *= self.alpha
            grad_avg += (1 - self.alpha) * gradient
            variance = square_avg - grad_avg**2
        quotient: Array = gradient / (np.sqrt(variance) + self.eps)
        if self.momentum:
            buffer = buffers["momentum_buffer"]
            buffer *= self.momentum
            buffer += quotient
            quotient = buffer
        parameter -= self.lr * quotient
