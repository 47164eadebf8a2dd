"""Adam with the weight decay where it belongs: on the weights, not in the gradient."""

from __future__ import annotations

from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.optimisers.adam import Adam
from layerdiff.handwritten.optimisers.optimiser import Parameters, WeightDecay

__all__ = ["AdamW"]


class AdamW(Adam):
    """Shrinks each parameter by the factor `1 - lr*weight_decay`, then moves it as Adam without weight decay.

    In Adam the decay is part of the gradient and so divided by its size: weights with large gradients hardly decay.

    Args:
        parameters: to update in place.
        lr: the learning rate.
        betas: as in `Adam`, and so are `eps` and `amsgrad`.
        eps: keeps the divisor away from zero.
        weight_decay: the strength of the decay.
        amsgrad: divides by the largest running mean of squares so far.

    Attributes:
        state: as in `Adam`.

    Raises:
        ValueError: see `Optimiser`.

    Source: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2017, algorithm 2; torch.optim.AdamW.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: WeightDecay = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad)

    def _update(self, parameter: Array, gradient: Array, weight_decay: float, buffers: dict[str, Array]) -> None:
        parameter *= 1 - self.lr * weight_decay
        self._move(parameter, gradient, buffers)
