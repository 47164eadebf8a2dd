"""A torch network as something that learns, by torch's own optimisers; the one file of training that imports torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_ops.cross_entropy import Labels
from layerdiff.handwritten.optimisers import NonFiniteGradientError
from layerdiff.handwritten.training.learner import State
from layerdiff.handwritten.training.states import apart_from, below, check_fit, prefixed

__all__ = ["TorchLearner"]


class TorchLearner:
    """A `Learner` of torch.

    Its state holds the network's tensors, the optimiser's, and the state of torch's random generators, which belong
    to the process: loading sets them. On a GPU some of torch's sums have no fixed order, and what is resumed is equal
    to rounding only, unless torch.use_deterministic_algorithms is on.

    Args:
        network: takes (n, c, h, w) in the dtype and on the device of its first parameter, and gives logits.
        optimizer: of the network's parameters; all its groups get the same learning rate.
        loss: of logits and labels, averaged over the batch.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.loss = loss

    def train_step(self, images: Array, labels: Labels, lr: float) -> tuple[float, int]:
        """One step, see `Learner.train_step`."""
        self.network.train()
        x, truth = self._own(images, labels)
        self.optimizer.zero_grad()
        logits = self.network(x)
        loss = self.loss(logits, truth)
        found = loss.item()
        if math.isfinite(found):
            loss.backward()  # type: ignore[no-untyped-call]
            self._check_gradients()
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
        return found, _correct(logits, truth)

    def evaluate(self, images: Array, labels: Labels) -> tuple[float, int]:
        """Loss and number of hits, see `Learner.evaluate`."""
        self.network.eval()
        x, truth = self._own(images, labels)
        with torch.inference_mode():
            logits = self.network(x)
            return self.loss(logits, truth).item(), _correct(logits, truth)

    def state(self) -> State:
        """Everything that further steps depend on, see `Learner.state`."""
        tensors = {name: _array(tensor) for name, tensor in self.network.state_dict().items()}
        buffers = {
            f"{index}.{name}": _array(value)
            for index, held in self.optimizer.state_dict()["state"].items()
            for name, value in held.items()
            if value is not None
        }
        random = {name: _array(value) for name, value in self._random().items()}
        return {
            **prefixed("network", tensors),
            **prefixed("optimiser", {**self._fixed(), **buffers}),
            **prefixed("random", random),
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Takes up where `state()` was asked for, see `Learner.load_state`."""
        check_fit("TorchLearner", apart_from(("optimiser",), state), apart_from(("optimiser",), self.state()))
        buffers = self._check_optimiser(below("optimiser", state))
        self.network.load_state_dict({name: torch.tensor(array) for name, array in below("network", state).items()})
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": buffers, "param_groups": groups})
        random = below("random", state)
        torch.set_rng_state(torch.tensor(random["cpu"]))
        if "cuda" in random:
            torch.cuda.set_rng_state(torch.tensor(random["cuda"]), self._device())

    def _own(self, images: Array, labels: Labels) -> tuple[Tensor, Tensor]:
        parameter = next(self.network.parameters())
        x = torch.tensor(images, dtype=parameter.dtype, device=parameter.device)
        return x, torch.tensor(labels, dtype=torch.int64, device=parameter.device)

    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _random(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self._device().type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._device())
        return states

    def _fixed(self) -> dict[str, NDArray[Any]]:
        """The optimiser's numbers that stay as they are; the learning rate is set at every step."""
        return {
            f"group{number}.{name}": np.array(value)
            for number, group in enumerate(self.optimizer.param_groups)
            for name, value in group.items()
            if name != "lr" and isinstance(value, bool | int | float | tuple)
        }

    def _check_gradients(self) -> None:
        names = tuple(
            name
            for name, parameter in self.network.named_parameters()
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
        )
        if names:
            raise NonFiniteGradientError(
                f"TorchLearner: NaN or infinity in a gradient, got {', '.join(names)}, expected finite numbers", names
            )

    def _check_optimiser(self, saved: State) -> dict[int, dict[str, Tensor]]:
        """The optimiser's buffers, by the number of the parameter, once they and its numbers are known to fit."""
        fixed = self._fixed()
        shapes = [tuple(parameter.shape) for group in self.optimizer.param_groups for parameter in group["params"]]
        problems = [f"{name} is missing" for name in fixed if name not in saved]
        buffers: dict[int, dict[str, Tensor]] = {}
        for name, array in saved.items():
            number, _, buffer = name.partition(".")
            if name in fixed:
                if not np.array_equal(array, fixed[name]):
                    problems.append(f"{name} {array} instead of {fixed[name]}")
            elif not number.isdecimal() or int(number) >= len(shapes):
                problems.append(f"{name} is unexpected")
            elif array.shape not in ((), shapes[int(number)]):
                problems.append(f"{name} {array.shape} instead of {shapes[int(number)]}")
            else:
                buffers.setdefault(int(number), {})[buffer] = torch.tensor(array)
        if problems:
            raise refusal(
                f"TorchLearner.load_state: the optimiser does not fit, got {', '.join(problems)}, "
                f"expected that of {type(self.optimizer).__name__}",
                help="nothing was loaded; build the optimiser as it was when the state was saved",
            )
        return buffers


def _array(value: Any) -> NDArray[Any]:
    if not isinstance(value, Tensor):
        raise refusal(
            f"TorchLearner: an optimiser that remembers more than tensors, got a {type(value).__name__}, "
            "expected tensors",
            help="SGD, Adam and their kin can be resumed, L-BFGS cannot",
        )
    return value.detach().cpu().numpy()


def _correct(logits: Tensor, labels: Tensor) -> int:
    return int((logits.argmax(dim=1) == labels).sum())
