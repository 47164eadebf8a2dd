"""What every optimiser can do: move parameters in place against their gradients, and save and load what it remembers.

Names, defaults and manner are torch.optim's, so that who knows one knows the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import EllipsisType
from typing import Any, ClassVar

import numpy as np

from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.optimisers.arguments import check_gradients, named, one_each
from layerdiff.handwritten.optimisers.hyperparameters import NOT_NEGATIVE, Kind, Value, check_values, taken
from layerdiff.handwritten.optimisers.state import State, check_state

__all__ = ["Optimiser", "Parameters", "WeightDecay", "decay_of_weights", "decayed"]

_PIECE = 2**16  # values

Parameters = Iterable[Array | tuple[str, Array]]
"""Arrays, or arrays with names as `Layer.named_parameters` gives them; the names appear in errors and in the state."""

WeightDecay = float | Sequence[float]
"""One for all parameters, or one for each."""


class Optimiser:
    """Moves parameters in place, in their own dtype, one step for each list of gradients.

    A subclass lists its `kinds`, says which buffers it has, and defines `_update`.

    Args:
        parameters: the very arrays that a network computes with. Two may not be the same array.
        lr: the learning rate.
        weight_decay: how strongly parameters are pulled to zero, for all or for each.
        others: the hyperparameters of the subclass.

    Attributes:
        kinds: the hyperparameters by name, and which values each may have.
        parameters: the arrays; gradients come in their order.
        names: of the parameters; their numbers where none were given.
        steps: taken so far.
        weight_decay: one for each parameter.
        state: what is remembered of each parameter, by its name and then by torch's name of the buffer.

    Raises:
        ValueError: there are no parameters, one cannot be updated, or a hyperparameter cannot be used.
    """

    kinds: ClassVar[Mapping[str, Kind]]

    def __init__(self, parameters: Parameters, *, lr: float, weight_decay: WeightDecay, **others: Value) -> None:
        where = type(self).__name__
        values: dict[str, Any] = taken(self.kinds, {"lr": lr, "weight_decay": weight_decay, **others})
        self.check(values)
        pairs = named(where, parameters)
        self.names = tuple(name for name, _ in pairs)
        self.parameters = [array for _, array in pairs]
        self.steps = 0
        self._lr: float = values.pop("lr")
        self.weight_decay = one_each(where, values.pop("weight_decay"), len(pairs))
        for name, value in values.items():
            setattr(self, name, value)
        self.state: dict[str, dict[str, Array]] = {
            name: {buffer: self._new_buffer(buffer, array) for buffer in self._buffer_names()} for name, array in pairs
        }

    @classmethod
    def check(cls, values: Mapping[str, Value]) -> None:
        """Refuses hyperparameters that cannot be used, given by name as plain Python values.

        Raises:
            ValueError: there are such; the error names all of them.
        """
        check_values(cls.__name__, cls.kinds, values)

    @property
    def lr(self) -> float:
        """The learning rate of the next step; a schedule sets it."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        check_values(f"{type(self).__name__}.lr", {"lr": NOT_NEGATIVE}, {"lr": float(value)})
        self._lr = float(value)

    def step(self, gradients: Sequence[Array]) -> None:
        """Moves every parameter once, in place; the gradients are left as they are.

        Args:
            gradients: of the loss, one for each of `parameters`, in their order, shapes and dtypes.

        Raises:
            ValueError: their number, a shape or a dtype is wrong.
            NonFiniteGradientError: one holds NaN or an infinity. In either case nothing has moved.
        """
        check_gradients(f"{type(self).__name__}.step", self.names, self.parameters, gradients)
        self.steps += 1
        for name, parameter, gradient, weight_decay in zip(
            self.names, self.parameters, gradients, self.weight_decay, strict=True
        ):
            buffers = self.state[name]
            for rows in _pieces(parameter):
                own = {buffer: array[rows] for buffer, array in buffers.items()}
                self._update(parameter[rows], gradient[rows], weight_decay, own)

    def state_dict(self) -> dict[str, Array | float]:
        """What must be kept to go on exactly: arrays and numbers, copied, so that later steps leave them alone.

        Returns:
            `step`, `lr` and the other hyperparameters by name, `weight_decay` (one for each parameter, float64), and
            `<parameter>.<buffer>` for each buffer, shape and dtype of its parameter.
        """
        return {
            name: np.copy(entry) if isinstance(entry, np.ndarray) else entry for name, entry in self._kept().items()
        }

    def load_state_dict(self, state: State) -> None:
        """Takes up where `state` was saved, or stays as it was where any of it does not fit.

        Args:
            state: by the names of `state_dict`; a number may be an array of one value. The learning rate is taken
                over, every other hyperparameter has to be what it was.

        Raises:
            ValueError: something is missing, unexpected, misshapen, of another dtype, not finite, or was built with
                other hyperparameters; all of it is listed.
        """
        check_state(type(self).__name__, state, self._kept(), fixed=tuple(self._fixed()))
        self.lr = float(np.asarray(state["lr"]))
        self.steps = int(np.asarray(state["step"]))
        for name, held in self.state.items():
            for buffer, array in held.items():
                array[...] = state[f"{name}.{buffer}"]

    def _kept(self) -> dict[str, Array | float]:
        buffers = {f"{name}.{buffer}": array for name, held in self.state.items() for buffer, array in held.items()}
        return {"step": self.steps, "lr": self.lr, **self._fixed(), **buffers}

    def _fixed(self) -> dict[str, Array | float]:
        """The hyperparameters that stay as they are, as arrays and numbers."""
        values = {name: getattr(self, name) for name in self.kinds if name != "lr"}
        return {name: np.array(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def _buffer_names(self) -> tuple[str, ...]:
        """Torch's names of the buffers that there are for each parameter, with these hyperparameters."""
        return ()

    def _new_buffer(self, name: str, parameter: Array) -> Array:
        """The buffer `name` of `parameter` before the first step."""
        return np.zeros_like(parameter)

    def _update(self, parameter: Array, gradient: Array, weight_decay: float, buffers: dict[str, Array]) -> None:
        """Moves a parameter, or some rows of one, and its buffers in place; `steps` counts this step already."""
        raise NotImplementedError(f"{type(self).__name__} does not say how a parameter is updated")


def _pieces(parameter: Array) -> Iterator[slice | EllipsisType]:
    """Cuts a parameter along its first axis into pieces that a core's cache holds, with gradient, buffers and results.

    Every value is updated by itself, so this changes none of them; but arrays as large as a network's would be brought
    from memory for each operation of an update.
    """
    if parameter.ndim == 0:
        yield ...
        return
    rows = max(1, _PIECE * len(parameter) // max(1, parameter.size))
    for start in range(0, len(parameter), rows):
        yield slice(start, start + rows)


def decayed(gradient: Array, parameter: Array, weight_decay: float) -> Array:
    """`gradient + weight_decay*parameter`: the gradient of the loss plus half of weight_decay times all squares.

    Source: Krogh & Hertz, "A Simple Weight Decay Can Improve Generalization", 1991; where torch.optim places it in all
    but AdamW.
    """
    return gradient + weight_decay * parameter if weight_decay else gradient


def decay_of_weights(parameters: Sequence[Array | tuple[str, Array]], weight_decay: float) -> list[float]:
    """The weight decay of each parameter where biases and the scales of norms are left alone: 0 for those.

    Args:
        parameters: as for an optimiser. Those with a single axis are biases, or a norm's scale or shift.
        weight_decay: of all others.

    Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 5.1; He et al., "Bag of Tricks for Image
    Classification", 2019, section 3.1.
    """
    arrays = [entry[1] if isinstance(entry, tuple) else entry for entry in parameters]
    return [weight_decay if array.ndim > 1 else 0.0 for array in arrays]
