"""Capture of a NumPy network: forward hooks on its leaf layers, no torch anywhere."""

from __future__ import annotations

import contextlib
import copy
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from layerdiff.compare.crash import Crash
from layerdiff.compare.imprint import imprint
from layerdiff.compare.kinds import attributes_of, kind_of_class
from layerdiff.compare.recorder import Recorder, Recording, StopForward
from layerdiff.compare.source import calling_line, line_of_traceback
from layerdiff.compare.trace import Array, Op, Pull, Pulled
from layerdiff.errors import InputError

__all__ = ["record_numpy"]


def record_numpy(network: Any, x: Array, *, until: str | None, keep: bool, survive: bool = False) -> Recording:
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
        survive: if the forward pass raises, give what ran before, with `Recording.crash`, and do not raise.

    Raises:
        InputError: a layer takes an array that no layer made.
    """
    recorder = Recorder(x, imprint, until=until, keep=keep)
    with _hooked(network, recorder):
        try:
            # What is not finite is found by the judge; NumPy's warning of it would say so first, and elsewhere.
            with np.errstate(all="ignore"):
                output = network(x)
        except StopForward:
            recorder.recording.stopped = True
        except InputError:
            raise
        except Exception as error:
            if not survive:
                raise
            recorder.recording.crashed, recorder.recording.crash = _crash(recorder, network, error)
        else:
            if isinstance(output, np.ndarray):
                recorder.takes(output, "the network's end")
            recorder.returns(output, np.array(output) if isinstance(output, np.ndarray) else None)
    return recorder.recording


@contextlib.contextmanager
def _hooked(network: Any, recorder: Recorder) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for path, layer in network.named_layers():
            if next(iter(layer.children()), None) is None:
                stack.callback(layer.register_forward_hook(_hook(recorder, path)))
        yield


def _hook(recorder: Recorder, path: str) -> Callable[[Any, tuple[Array, ...], Array], None]:
    def hook(layer: Any, inputs: tuple[Array, ...], output: Array) -> None:
        name = recorder.name(path)
        for array in inputs:
            if array is not output:
                recorder.takes(array, name)
        op = _op(recorder, name, path, layer, inputs, calling_line())
        in_place = any(output is array for array in inputs)
        op = replace(op, shape=output.shape, dtype=output.dtype.name, in_place=in_place)
        recorder.add(op, output, lambda: output)

    return hook


def _op(recorder: Recorder, name: str, path: str, layer: Any, inputs: tuple[Array, ...], source: str | None) -> Op:
    """A layer that is called, apart from what it gives."""
    kind = kind_of_class(type(layer).__name__)
    return Op(
        layer=name,
        path=path,
        kind=kind,
        inputs=tuple(_source(recorder, array, name) for array in inputs),
        attributes=attributes_of(kind, layer),
        parameters=dict(layer.arrays),
        shape=(),
        dtype="float32",
        keys={role: f"{path}.{role}" if path else role for role in layer.arrays},
        source=source,
        run=_runner(layer, training=_is_training(layer)),
        vary=_varied(layer),
        pull=_puller(layer, path, training=_is_training(layer)) if hasattr(layer, "vjp") else None,
    )


def _crash(recorder: Recorder, network: Any, error: Exception) -> tuple[Op | None, Crash]:
    """Where `error` was raised, and the operation that raised; None where that was outside of every layer."""
    words = type(error).__name__, (str(error).splitlines() or ["no message"])[0]
    source = line_of_traceback(error.__traceback__)
    paths = {id(layer): path for path, layer in network.named_layers() if next(iter(layer.children()), None) is None}
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        layer, inputs = frame.f_locals.get("self"), frame.f_locals.get("inputs")
        if frame.f_code.co_name != "__call__" or id(layer) not in paths or not isinstance(inputs, tuple):
            continue
        path = paths[id(layer)]
        op = _op(recorder, recorder.name(path), path, layer, inputs, source)
        crash = Crash(
            layer=op.layer,
            path=path,
            kind=op.kind,
            error=words[0],
            message=words[1],
            inputs=op.inputs,
            input_shapes=tuple(array.shape for array in inputs),
            attributes=op.attributes,
            parameter_shapes={role: array.shape for role, array in op.parameters.items()},
            source=source,
        )
        return op, crash
    return None, Crash("", "", "", *words, source=source)


def _is_training(layer: Any) -> bool:
    return bool(getattr(layer, "training", False))


def _source(recorder: Recorder, array: Array, layer: str) -> str:
    found = recorder.producer(array)
    if found is None:
        raise InputError(
            f"{layer}: takes an array of shape {array.shape} that no layer made, expected a layer's output",
            help="make every operation of the network a layer, so that it can be compared",
        )
    return found


def _runner(layer: Any, *, training: bool) -> Any:
    def run(*inputs: Array) -> Array:
        output: Array = _as_it_was(layer, inputs[0].dtype, training=training).forward(*inputs)
        return output

    return run


def _puller(layer: Any, path: str, *, training: bool) -> Pull:
    def pull(inputs: Sequence[Array], covector: Array) -> Pulled:
        gradients, own = _as_it_was(layer, inputs[0].dtype, training=training).vjp(inputs, covector)
        return Pulled(tuple(gradients), {f"{path}.{name}" if path else name: array for name, array in own.items()})

    return pull


def _as_it_was(layer: Any, dtype: Any, *, training: bool) -> Any:
    """The layer in a precision, to which float32 is cast exactly, and in the mode in which it ran first.

    In training it is a copy: running estimates move.
    """
    one = layer if all(array.dtype == dtype for array in layer.arrays.values()) else layer.astype(dtype)
    if training or _is_training(layer):
        one = copy.copy(one)
        one.arrays, one.training = dict(one.arrays), training
    return one


def _varied(layer: Any) -> Any:
    """How a layer is run again with other attributes, or other arrays."""

    def vary(attributes: Mapping[str, object], parameters: Mapping[str, Array]) -> Any:
        if not all(hasattr(layer, name) for name in attributes) or not set(parameters) <= set(layer.arrays):
            return None
        one = copy.copy(layer)
        one.arrays = {**layer.arrays, **parameters}
        for name, value in attributes.items():
            setattr(one, name, value)
        return _runner(one, training=_is_training(layer))

    return vary
