"""What every layer of the NumPy half can do: be called and watched, name its parts, save and load its arrays.

The names and the manner are torch.nn.Module's, so that who knows one knows the other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_state import check_state

__all__ = ["ForwardHook", "Layer"]

ForwardHook = Callable[["Layer", tuple[Array, ...], Array], None]
"""Called after each forward as `hook(layer, inputs, output)`."""


class Layer:
    """A function with arrays of its own and, perhaps, layers of its own.

    A subclass calls `super().__init__()` first, then assigns its arrays under the names in `array_names` and its
    layers under any name, and defines `forward`. The order of assignment is the order of everything that iterates.

    Attributes:
        array_names: the names of the arrays that a layer of this class may have.
        arrays: those it has. `layer.weight` reads and writes `layer.arrays["weight"]`; one it lacks reads as None.
        training: False, unlike torch's: a network of this half is built to be compared, in eval mode.
        forward: what the layer computes.
    """

    array_names: ClassVar[tuple[str, ...]] = ()
    arrays: dict[str, Array]
    training: bool
    forward: Callable[..., Array]

    def __init__(self) -> None:
        self.arrays = {}
        self.training = False
        self._forward_hooks: dict[object, ForwardHook] = {}

    def __call__(self, *inputs: Array) -> Array:
        """Runs `forward`, then the hooks."""
        output = self.forward(*inputs)
        for hook in tuple(self._forward_hooks.values()):
            hook(self, inputs, output)
        return output

    def register_forward_hook(self, hook: ForwardHook) -> Callable[[], None]:
        """Has `hook(layer, inputs, output)` called after every forward, until the function returned is called."""
        key = object()
        self._forward_hooks[key] = hook

        def remove() -> None:
            self._forward_hooks.pop(key, None)

        return remove

    def __getattr__(self, name: str) -> Any:
        if name in type(self).array_names:
            return self.arrays.get(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        if name not in type(self).array_names:
            super().__setattr__(name, value)
        elif isinstance(value, np.ndarray):
            self.arrays[name] = value
        else:
            self.arrays.pop(name, None)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """The layers of this one by name, in the order of their assignment."""
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                yield name, value

    def named_layers(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """This layer under `prefix`, then all below it by dotted path, depth first, as torch's `named_modules`."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_layers(f"{prefix}.{name}" if prefix else name)

    def train(self, mode: bool = True) -> Self:
        """Sets this layer and all below it to training mode, or with False to eval mode; returns the layer."""
        for _, layer in self.named_layers():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Sets this layer and all below it to eval mode; returns the layer."""
        return self.train(False)

    def initialise(self, generator: np.random.Generator) -> None:
        """Draws this layer's own weights, where it has any; see the layers that do."""

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy of this layer and all below it with arrays of another precision and without hooks.

        Raises:
            ValueError: `dtype` is not floating.
        """
        if not np.issubdtype(dtype, np.floating):
            raise refusal(
                f"{type(self).__name__}.astype: not a floating dtype, got {np.dtype(dtype)}, "
                "expected float32 or float64",
                help="weights cannot be held as integers",
            )
        twin = copy.copy(self)
        twin.arrays = {name: array.astype(dtype) for name, array in self.arrays.items()}
        twin._forward_hooks = {}
        for name, child in self.children():
            setattr(twin, name, child.astype(dtype))
        return twin

    def state_dict(self) -> dict[str, Array]:
        """Every array of this layer and those below it by dotted path, not copied."""
        return {
            f"{path}.{name}" if path else name: array
            for path, layer in self.named_layers()
            for name, array in layer.arrays.items()
        }

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copies in every array of this layer and those below it, or none where any does not fit.

        Args:
            state: by the names of `state_dict`, in any floating dtype, which is kept. Torch's counters
                (`num_batches_tracked`) are left aside: inference never reads them.

        Raises:
            ValueError: tensors are missing, unexpected, misshapen, not floating or not finite; all of them are listed.
        """
        check_state(type(self).__name__, state, self.state_dict())
        for path, layer in self.named_layers():
            for name in layer.arrays:
                layer.arrays[name] = np.array(state[f"{path}.{name}" if path else name])
