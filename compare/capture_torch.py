"""Capture of a torch network: hooks for its leaf modules, a function mode for everything between them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from layerdiff.compare.kinds import attributes_of, kind_of_class, kind_of_function
from layerdiff.compare.native import is_native_function, is_native_module, native_call
from layerdiff.compare.recorder import Recorder, Recording, StopForward
from layerdiff.compare.source import calling_line
from layerdiff.compare.trace import Array, Op
from layerdiff.errors import InputError

__all__ = ["record_torch"]


def record_torch(network: nn.Module, x: Array, *, until: str | None, keep: bool) -> Recording:
    """The operations of `network(x)`, what it gave, and all values where `keep`.

    A module without children is one operation, whatever it does inside; so is every function, method or
    operator called outside such a module that gives a tensor (`out + identity`, `torch.flatten`). The network runs as
    it is, in whatever mode it is in; its hooks, buffers and mode, and torch's random state, are then as they were.

    Args:
        network: takes one tensor.
        x: (n, c, h, w).
        until: stop once this part of the network has run.
        keep: keep every value.

    Raises:
        InputError: a module without children gives something that is not a tensor.
    """
    tensor = torch.from_numpy(x)
    recorder = Recorder(tensor, until=until, keep=keep)
    watch = _Watch(recorder)
    managers = (_buffers_restored(network), torch.random.fork_rng(devices=[]), torch.no_grad(), watch.hooks_on(network))
    with contextlib.ExitStack() as stack:
        for manager in (*managers, watch):
            stack.enter_context(manager)
        try:
            output = network(tensor)
        except StopForward:
            recorder.recording.stopped = True
    if not recorder.recording.stopped:
        values = output.detach().clone().numpy() if isinstance(output, Tensor) else None
        recorder.returns(output, values)
    return recorder.recording


class _Watch(TorchFunctionMode):
    """Sees every module and function that runs, and tells the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder
        self._path: list[str] = []
        self._inside_leaf = 0

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._inside_leaf:
            return func(*args, **kwargs)
        leaves, spec = tree_flatten((args, kwargs))
        slots = [i for i, leaf in enumerate(leaves) if self._made(leaf)]
        output = func(*args, **kwargs)
        if not slots or not isinstance(output, Tensor):
            return output
        kind = kind_of_function(func.__name__)
        scope = self._path[-1] if self._path else ""

        def call(tensors: Sequence[Tensor]) -> Tensor:
            filled = [_like(leaf, tensors[0].dtype) for leaf in leaves_kept]
            for i, tensor in zip(slots, tensors, strict=True):
                filled[i] = tensor
            again_args, again_kwargs = tree_unflatten(filled, spec)
            result: Tensor = func(*again_args, **again_kwargs)
            return result

        # The recorded call must not keep the activations alive.
        leaves_kept = [None if i in slots else leaf for i, leaf in enumerate(leaves)]
        native = is_native_function(func, kwargs)
        self._record(
            path=f"{scope}.{kind}" if scope else kind,
            kind=kind,
            inputs=[leaves[i] for i in slots],
            output=output,
            attributes=_function_attributes(kind, args, kwargs),
            parameters={},
            native=native,
            run=_runner(call, draws=not native or kind == "dropout"),
        )
        return output

    def _record(
        self,
        *,
        path: str,
        kind: str,
        inputs: Sequence[Tensor],
        output: Tensor,
        attributes: dict[str, object],
        parameters: dict[str, Array],
        native: bool,
        run: Callable[..., Array],
    ) -> None:
        layer = self._recorder.name(path)
        array = output.detach().numpy()
        op = Op(
            layer=layer,
            path=path,
            kind=kind,
            inputs=tuple(self._recorder.producer(tensor) or "" for tensor in inputs),
            attributes=attributes,
            parameters=parameters,
            shape=tuple(output.shape),
            dtype=array.dtype.name,
            in_place=any(output is tensor for tensor in inputs),
            native=native,
            source=calling_line(),
            run=run,
        )
        self._recorder.add(op, output, array)

    def _made(self, value: object) -> bool:
        return isinstance(value, Tensor) and self._recorder.producer(value) is not None

    @contextlib.contextmanager
    def hooks_on(self, network: nn.Module) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for path, module in network.named_modules():
                leaf = next(module.children(), None) is None
                # Before our own hooks: somebody else's make it another operation.
                native = leaf and is_native_module(module)
                before = module.register_forward_pre_hook(self._entering(path, leaf))
                # Always: a network may catch what one of its modules raises, and go on.
                after = module.register_forward_hook(self._leaving(path, leaf, native), always_call=True)
                stack.callback(before.remove)
                stack.callback(after.remove)
            yield

    def _entering(self, path: str, leaf: bool) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if leaf:
                self._inside_leaf += 1
            else:
                self._path.append(path)

        return hook

    def _leaving(self, path: str, leaf: bool, native: bool) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
            if not leaf:
                self._path.pop()
                return
            if output is None:
                self._inside_leaf -= 1
                return
            if not isinstance(output, Tensor):
                raise InputError(f"{path}: its forward gave a {type(output).__name__}, expected a tensor")
            tensors = [value for value in inputs if isinstance(value, Tensor)]
            kind = kind_of_class(type(module).__name__)
            self._record(
                path=path,
                kind=kind,
                inputs=tensors,
                output=output,
                attributes=attributes_of(kind, module),
                parameters=_parameters(module),
                native=native,
                run=_runner(native_call(module) if native else _module_call(module), draws=not native),
            )
            # Last, so that what we did ourselves above is not taken for the network's.
            self._inside_leaf -= 1

        return hook


def _parameters(module: nn.Module) -> dict[str, Array]:
    named = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return {name: tensor.detach().numpy() for name, tensor in named if tensor.is_floating_point()}


def _module_call(module: nn.Module) -> Callable[[Sequence[Tensor]], Tensor]:
    def call(tensors: Sequence[Tensor]) -> Tensor:
        dtype = tensors[0].dtype
        buffers = {name: _like(buffer, dtype, copy=True) for name, buffer in module.named_buffers()}
        parameters = {name: _like(parameter, dtype) for name, parameter in module.named_parameters()}
        # On copies of what it could change, and in the precision of its inputs: the module stays as it is.
        result: Tensor = functional_call(module, {**parameters, **buffers}, tuple(tensors))
        return result

    return call


def _runner(call: Callable[[Sequence[Tensor]], Tensor], *, draws: bool = True) -> Callable[..., Array]:
    def run(*inputs: Array) -> Array:
        tensors = [torch.from_numpy(array) for array in inputs]
        # What draws no random number leaves torch's random state as it is.
        kept = torch.random.fork_rng(devices=[]) if draws else contextlib.nullcontext()
        with torch.no_grad(), kept:
            result: Array = call(tensors).numpy()
        return result

    return run


def _like(leaf: Any, dtype: torch.dtype, *, copy: bool = False) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    return leaf.to(dtype if leaf.is_floating_point() else leaf.dtype, copy=copy)


def _function_attributes(kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, object]:
    if kind != "flatten":
        return {}
    named = dict(zip(("start_dim", "end_dim"), args[1:], strict=False)) | kwargs
    return {"start_dim": named.get("start_dim", 0), "end_dim": named.get("end_dim", -1)}


@contextlib.contextmanager
def _buffers_restored(network: nn.Module) -> Iterator[None]:
    saved = {name: buffer.clone() for name, buffer in network.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in network.named_buffers():
                if name in saved:
                    buffer.copy_(saved[name])
