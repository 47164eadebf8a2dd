"""What every layer of the NumPy half can do: be called and watched, name and count its parts, save and load its arrays.

The names and the manner are torch.nn.Module's, so that who knows one knows the other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.counting import PRODUCTS, Convention, Work
from layerdiff.handwritten.numpy_ops._arrays import Array
from layerdiff.handwritten.numpy_state import check_state
from layerdiff.handwritten.shape_pass import Outline, Shape, Step, shape_of
from layerdiff.handwritten.tape import Tape

__all__ = ["ForwardHook", "Layer"]

ForwardHook = Callable[["Layer", tuple[Array, ...], Array], None]
"""Called after each forward as `hook(layer, inputs, output)`."""


def _forward(self: Layer, *inputs: Array) -> Array:
    # Like the two below no method of Layer: each subclass has arguments of its own, and a method would prescribe them.
    raise _unanswered(self, "forward", f"{len(inputs)} inputs", "def forward(self, x)")


def _output_shape(self: Layer, *shapes: Shape) -> Shape:
    if next(self.children(), None) is None:
        raise _unanswered(self, "output_shape", str(shapes), "def output_shape(self, shape)")
    return self.shape_pass(*shapes)[0]


def _work(self: Layer, *shapes: Shape) -> Work:
    if next(self.children(), None) is None:
        raise _unanswered(self, "work", str(shapes), "def work(self, shape)")
    return sum((step.layer.work(*step.inputs) for step in self.shape_pass(*shapes)[1]), Work())


def _unanswered(layer: Layer, method: str, got: str, define: str) -> NotImplementedError:
    name = type(layer).__name__
    error = NotImplementedError(f"{name}.{method}: not defined, got {got}, expected {name} to have `{define}`")
    error.add_note("help: a layer without layers of its own must answer this itself")
    return error


class Layer:
    """A function with arrays of its own and, perhaps, layers of its own.

    A subclass calls `super().__init__()` first, then assigns its arrays under the names in `array_names` and its
    layers under any name, and defines `forward`. The order of assignment is the order of everything that iterates.
    One without layers of its own also defines `output_shape` and `work`, where shapes and multiply-adds are asked for.

    Attributes:
        array_names: the names of the arrays that a layer of this class may have.
        buffer_names: those of them that are not learned, but observed: running estimates.
        arrays: those it has. `layer.weight` reads and writes `layer.arrays["weight"]`; one it lacks reads as None.
        training: False, unlike torch's: a network of this half is built to be compared, in eval mode.
        forward: what the layer computes.
        output_shape: the shape of the output for inputs of given shapes; no number is computed.
        work: the terms of the work done on inputs of given shapes, each use of a layer counted.

    Raises:
        NotImplementedError: on calling one of these three where a subclass had to define it.
        ValueError: `output_shape` and `work`, where a layer cannot take such a shape, or something other than layers
            works on the arrays.
    """

    array_names: ClassVar[tuple[str, ...]] = ()
    buffer_names: ClassVar[tuple[str, ...]] = ()
    arrays: dict[str, Array]
    training: bool
    forward: Callable[..., Array] = _forward
    output_shape: Callable[..., Shape] = _output_shape
    work: Callable[..., Work] = _work

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

    def vjp(self, inputs: Sequence[Array], covector: Array) -> tuple[list[Array], dict[str, Array]]:
        """The gradients of `sum(covector * forward(*inputs))` for the inputs, and for what is learned, by name.

        Args:
            inputs: as `forward` takes them.
            covector: shape and dtype of the output.

        Raises:
            ValueError: as `Tape.gradients`; or the forward does.
        """
        named = dict(self.named_parameters())
        with Tape() as tape:
            output = self.forward(*inputs)
        if any(output is array for array in inputs):
            return [covector if output is array else np.zeros_like(array) for array in inputs], {}
        gradients = tape.gradients(output, [*inputs, *named.values()], covector)
        return gradients[: len(inputs)], dict(zip(named, gradients[len(inputs) :], strict=True))

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

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Array]]:
        """The arrays that are learned, by dotted path, each once, in the order of torch's `named_parameters`."""
        return self._named_arrays(prefix, buffers=False)

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Array]]:
        """The arrays that are not learned, running means and variances, by dotted path, each once."""
        return self._named_arrays(prefix, buffers=True)

    def _named_arrays(self, prefix: str, *, buffers: bool) -> Iterator[tuple[str, Array]]:
        seen: set[int] = set()
        for path, layer in self.named_layers(prefix):
            for name, array in layer.arrays.items():
                if (name in layer.buffer_names) is buffers and id(array) not in seen:
                    seen.add(id(array))
                    yield (f"{path}.{name}" if path else name), array

    def parameters(self) -> list[Array]:
        """The arrays that are learned, not copied: what changes them in place changes the layer.

        Loading, drawing and another precision give a layer new arrays: ask again after them.
        """
        return [array for _, array in self.named_parameters()]

    def parameter_count(self) -> int:
        """How many numbers are learned."""
        return sum(array.size for _, array in self.named_parameters())

    def buffer_count(self) -> int:
        """How many numbers the running estimates hold; torch's batch counters are none of them."""
        return sum(array.size for _, array in self.named_buffers())

    def multiply_adds(self, *shapes: Shape, convention: Convention = PRODUCTS) -> int:
        """The multiply-adds of one forward pass on inputs of these shapes; what counts as one, `convention` says.

        Raises:
            ValueError: as `output_shape`.
            NotImplementedError: a layer without layers of its own does not say what work it does.
        """
        if convention.each_use:
            return convention.multiply_adds(self.work(*shapes))
        last = {id(step.layer): step for step in self.shape_pass(*shapes)[1]}
        return sum(convention.multiply_adds(step.layer.work(*step.inputs)) for step in last.values())

    def shape_pass(self, *shapes: Shape) -> tuple[Shape, list[Step]]:
        """Runs this layer's own forward on shapes alone: the output's shape, and each layer that ran, in order.

        Raises:
            ValueError: as `output_shape`.
            NotImplementedError: a layer without layers of its own does not say what shape it gives.
        """
        steps: list[Step] = []
        forward: Callable[..., object] = self._outlined("", steps).forward
        return shape_of(forward(*map(Outline, shapes))), steps

    def _outlined(self, path: str, steps: list[Step]) -> Self:
        """A copy without hooks whose layers, where they have none below them, take and give outlines."""
        twin = copy.copy(self)
        twin._forward_hooks = {}
        children = list(self.children())
        for name, child in children:
            setattr(twin, name, child._outlined(f"{path}.{name}" if path else name, steps))
        if children:
            return twin

        def forward(*outlines: object) -> Any:
            inputs = tuple(map(shape_of, outlines))
            steps.append(Step(path, self, inputs, self.output_shape(*inputs)))
            return Outline(steps[-1].output)

        twin.forward = forward
        return twin

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
                loaded = state[f"{path}.{name}" if path else name]
                # A layer has its weights in the order of memory in which it works on them.
                layer.arrays[name] = np.empty_like(layer.arrays[name], dtype=loaded.dtype)
                layer.arrays[name][...] = loaded
