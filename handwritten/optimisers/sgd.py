"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.optimisers.hyperparameters import (
    BELOW_ONE,
    FLAG,
    NOT_NEGATIVE,
    NOT_NEGATIVE_EACH,
    UP_TO_ONE,
    Kind,
    Value,
)
from layerdiff.handwritten.optimisers.optimiser import Optimiser, Parameters, WeightDecay, decayed

__all__ = ["SGD"]


class SGD(Optimiser):
    """Moves each parameter against its gradient, or against a running sum of its gradients.

        b = momentum*b + (1 - dampening)*g          the first time b = g
        p = p - lr*b                                with nesterov p - lr*(g + momentum*b)

    Args:
        parameters: to update in place.
        lr: the learning rate.
        momentum: the share of the running sum that a step keeps; 0 for none.
        dampening: the share of a new gradient that the running sum leaves out.
        weight_decay: added to the gradient as `weight_decay * p`, before the momentum.
        nesterov: looks ahead to where the momentum is about to carry the parameter.

    Attributes:
        state: `momentum_buffer`, where there is momentum.

    Raises:
        ValueError: see `Optimiser`; nesterov without momentum or with dampening.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, section 2, with
    the learning rate outside of the sum as in torch.optim.SGD.
    """

    kinds: ClassVar[Mapping[str, Kind]] = {
        "lr": NOT_NEGATIVE,
        "momentum": BELOW_ONE,
        "dampening": UP_TO_ONE,
        "weight_decay": NOT_NEGATIVE_EACH,
        "nesterov": FLAG,
    }
    momentum: float
    dampening: float
    nesterov: bool

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: WeightDecay = 0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            parameters, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov
        )

    @classmethod
    def check(cls, values: Mapping[str, Value]) -> None:
        """As every optimiser's; nesterov needs a momentum, and all of every gradient."""
        super().check(values)
        momentum, dampening = values.get("momentum", 0), values.get("dampening", 0)
        if values.get("nesterov", False) and (momentum == 0 or dampening != 0):
            raise refusal(
                f"{cls.__name__}: nesterov without momentum, got momentum={momentum} and dampening={dampening}, "
                "expected a momentum above 0 and a dampening of 0",
                help="momentum=0.9 is the usual one",
            )

    def _buffer_names(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def _update(self, parameter: Array, gradient: Array, weight_decay: float, buffers: dict[str, Array]) -> None:
        gradient = decayed(gradient, parameter, weight_decay)
        if not self.momentum:
            parameter -= self.lr * gradient
            return
        buffer = buffers["momentum_buffer"]
        if self.steps == 1:
            buffer[...] = gradient
        else:
            buffer *= self.momentum
            buffer += (1 - self.dampening) * gradient if self.dampening else gradient
        parameter -= self.lr * (gradient + self.momentum * buffer if self.nesterov else buffer)
