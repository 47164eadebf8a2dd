"""Capture of a NumPy network: forward hooks on its leaf layers, no torch anywhere."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from layerdiff.compare.kinds import attributes_of, kind_of_class
from layerdiff.compare.source import calling_line
from layerdiff.compare.trace import INPUT, Array, Namer, Op, Recording, StopForward, is_within
from layerdiff.errors import InputError

__all__ = ["record_numpy"]


def record_numpy(network: Any, x: Array, *, until: str | None, keep: bool) -> Recording:
    """The operations of `network(x)`, what it gave, and all values where `keep`.

    A layer is an operation when it has no children. Where an input comes from is known by the identity of
    the array, so a network that reshapes an array between two layers is refused, not guessed at.

    Args:
        network: has `named_layers()`, each layer `children()`, `arrays`, `astype(dtype)` and
            `register_forward_hook(hook)` returning a function that removes it; see
            `handwritten.numpy_layers.Layer`.
        x: (n, c, h, w).
        until: stop once this part of the network has run.
        keep: keep every value.

    Raises:
        InputError: a layer takes an array that no layer made.
    """
    recording = Recording()
    namer = Namer()
    producers: dict[int, tuple[weakref.ref[Array], str]] = {id(x): (weakref.ref(x), INPUT)}

    def producer(array: Any) -> str | None:
        ref, layer = producers.get(id(array), (None, None))
        return layer if ref is not None and ref() is array else None

    def source_of(array: Array, layer: str) -> str:
        found = producer(array)
        if found is None:
            raise InputError(
                f"{layer}: takes an array of shape {array.shape} that no layer made, expected a layer's output",
                help="make every operation of the network a layer, so that it can be compared",
            )
        return found

    def hook_for(path: str) -> Any:
        def hook(layer: Any, inputs: tuple[Array, ...], output: Array) -> None:
            name = namer.name(path)
            if _is_past(until, name, recording.ops):
                raise StopForward
            kind = kind_of_class(type(layer).__name__)
            recording.ops.append(
                Op(
                    layer=name,
                    path=path,
                    kind=kind,
                    inputs=tuple(source_of(array, name) for array in inputs),
                    attributes=attributes_of(kind, layer),
                    parameters=dict(layer.arrays),
                    shape=output.shape,
                    dtype=output.dtype.name,
                    in_place=any(output is array for array in inputs),
                    source=calling_line(),
                    run=_runner(layer),
                )
            )
            producers[id(output)] = (weakref.ref(output), name)
            if keep:
                recording.values[name] = output.copy()

        return hook

    with _hooked(network, hook_for):
        try:
            output = network(x)
        except StopForward:
            recording.stopped = True
        else:
            recording.returned_by = producer(output)
            recording.returned = np.array(output) if isinstance(output, np.ndarray) else None
    return recording


def _is_past(until: str | None, layer: str, ops: list[Op]) -> bool:
    return until is not None and not is_within(layer, until) and any(is_within(op.layer, until) for op in ops)


@contextlib.contextmanager
def _hooked(network: Any, hook_for: Any) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for path, layer in network.named_layers():
            if next(iter(layer.children()), None) is None:
                stack.callback(layer.register_forward_hook(hook_for(path)))
        yield


def _runner(layer: Any) -> Any:
    def run(*inputs: Array) -> Array:
        dtype = inputs[0].dtype
        # In another precision it runs as a copy; float32 weights are cast to float64 exactly.
        fits = all(array.dtype == dtype for array in layer.arrays.values())
        output: Array = (layer if fits else layer.astype(dtype)).forward(*inputs)
        return output

    return run
