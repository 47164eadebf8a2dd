"""Capture of a torch network: a function mode sees every operation, hooks see in which module it runs."""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules import module as module_machinery
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.hooks import RemovableHandle

from layerdiff.compare.crash import Crash
from layerdiff.compare.folding import kind_of_own_class, roles_by_name
from layerdiff.compare.functions import ROLES, name_of_function, named_arguments, settings
from layerdiff.compare.kinds import attributes_of, kind_of_class
from layerdiff.compare.native import is_native_function, is_native_module, native_call
from layerdiff.compare.recorder import Recorder, Recording, StopForward, ValueLeftError
from layerdiff.compare.source import calling_line
from layerdiff.compare.trace import Array, Op
from layerdiff.errors import InputError

__all__ = ["on_meta", "record_torch"]


def record_torch(
    network: nn.Module, x: Array | Tensor, *, until: str | None = None, keep: bool = False, survive: bool = False
) -> Recording:
    """The operations of `network(x)`, what it gave, and all values where `keep`.

    A module of torch's own without children is one operation, and so is a class of the network's own that builds one
    layer out of arithmetic (`folding`); what happened inside is in `Op.inner`. So is every function, method or
    operator called elsewhere that gives a tensor made from the input (`out + identity`, `F.relu`, `x.view`). Modules
    are seen whether they are registered or not, and so are functions called on a module's weights without calling the
    module. The network runs as it is, in whatever mode it is in; nothing is attached to it, and its buffers and
    torch's random state are afterwards as they were.

    Args:
        network: takes one tensor.
        x: (n, c, h, w); a meta tensor if the network is on meta tensors too: then nothing is computed.
        until: stop once this part of the network has run.
        keep: keep every value.
        survive: if the forward pass raises, give what ran before, with `Recording.crash`, and do not raise.
    """
    open_: set[str] = set()
    tensor = x if isinstance(x, Tensor) else torch.from_numpy(x)
    while True:
        try:
            return _record(network, tensor, until=until, keep=keep, survive=survive, open_=open_)
        except ValueLeftError as left:
            # What was taken for one operation gives something away that is used elsewhere: it is not one.
            if left.path in open_:
                raise
            open_.add(left.path)


def _record(
    network: nn.Module, x: Tensor, *, until: str | None, keep: bool, survive: bool, open_: set[str]
) -> Recording:
    recorder = Recorder(x, until=until, keep=keep)
    watch = _Watch(recorder, network, open_)
    managers = (_buffers_restored(network), torch.random.fork_rng(devices=[]), torch.no_grad(), watch.hooks(), watch)
    recording = recorder.recording
    with contextlib.ExitStack() as stack:
        for manager in managers:
            stack.enter_context(manager)
        try:
            output = network(x)
        except StopForward:
            recording.stopped = True
        except ValueLeftError:
            raise
        except _WatchingFailed as failed:
            raise InputError(
                f"capture: {type(network).__name__} runs, but not while it is watched, got {failed}"
            ) from failed
        except Exception as error:
            if not survive:
                raise
            recording.crash = watch.crash_of(error)
            return recording
    recording.crash = None
    if not recording.stopped:
        values = _array(output).copy() if isinstance(output, Tensor) and not output.is_meta else None
        recorder.returns(output, values, "" if isinstance(output, Tensor) else _describe(output, recorder))
    return recording


@contextlib.contextmanager
def on_meta(network: nn.Module) -> Iterator[None]:
    """Every parameter and buffer of the network is a meta tensor meanwhile, and what it was afterwards."""
    held: list[tuple[dict[str, Any], str, Tensor]] = []
    made: dict[int, Tensor] = {}
    for module in network.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                held.append((tensors, name, tensor))
                # A tensor that is shared stays shared.
                if id(tensor) not in made:
                    meta = torch.empty_like(tensor, device="meta")
                    made[id(tensor)] = nn.Parameter(meta, False) if isinstance(tensor, nn.Parameter) else meta
                tensors[name] = made[id(tensor)]
    try:
        yield
    finally:
        for tensors, name, tensor in held:
            tensors[name] = tensor


@dataclass
class _Call:
    """A module that is running."""

    module: nn.Module
    path: str
    atomic: bool
    start: int = 0
    hook: RemovableHandle | None = None
    arguments: tuple[Any, Any] = field(default=((), {}))


class _Watch(TorchFunctionMode):
    """Sees every module and function that runs, and tells the recorder."""

    def __init__(self, recorder: Recorder, network: nn.Module, open_: set[str]) -> None:
        super().__init__()
        self._recorder, self._network, self._open = recorder, network, open_
        self._calls: list[_Call] = []
        self._paths: dict[int, str] = {}
        for path, module in network.named_modules(remove_duplicate=False):
            self._paths.setdefault(id(module), path)
        # From which of the network's tensors, by name, a tensor was made without the input.
        self._origins: dict[int, tuple[weakref.ref[Any], frozenset[str]]] = {}
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            self._origins[id(tensor)] = (weakref.ref(tensor), frozenset({name}))
        self._crash: tuple[BaseException, Crash, Op] | None = None

    # What runs

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._calls and self._calls[-1].atomic:
            return func(*args, **kwargs)
        # Where the result is written makes no difference to what it is, so it is run again without that.
        leaves, spec = tree_flatten((args, {name: value for name, value in kwargs.items() if name != "out"}))
        slots = [i for i, leaf in enumerate(leaves) if self._made(leaf)]
        if not slots:
            output = func(*args, **kwargs)
            self._follow(leaves, output)
            return output
        kind = name_of_function(func)
        named = named_arguments(func, kind, args, kwargs)
        if kind in _NEUTRAL and _is_neutral(kind, args):
            kind = "identity"
        try:
            output = func(*args, **kwargs)
        except Exception as error:
            constants = [None if i in slots else leaf for i, leaf in enumerate(leaves)]
            call = _function_call(func, constants, slots, spec, None, gives_first=False)
            self._note_crash(error, kind, [leaves[i] for i in slots], named, call)
            raise
        # An assignment into a slice gives nothing, and changes its first argument.
        result = args[0] if kind == "setitem" else output
        # The recorded call must not keep the activations alive.
        constants = [None if i in slots else leaf for i, leaf in enumerate(leaves)]
        for pick, tensor in _tensors(result):
            call = _function_call(func, constants, slots, spec, pick, gives_first=kind == "setitem")
            with _ours(kind):
                native = is_native_function(func, kwargs)
                self._function(kind, named, [leaves[i] for i in slots], tensor, call, native)
        return output

    def _function(
        self,
        kind: str,
        named: Mapping[str, Any],
        inputs: Sequence[Tensor],
        output: Tensor,
        call: _TensorCall,
        native: bool,
    ) -> None:
        tensors = {role: named[role] for role in ROLES if isinstance(named.get(role), Tensor)}
        attributes = settings(kind, named)
        if kind == "conv2d" and "weight" in tensors:
            attributes["kernel_size"] = tuple(tensors["weight"].shape[2:])
        name = kind
        held = tensors
        if not tensors and len(inputs) == 1:
            kind, tensors, held = _of_own_tensors(kind, inputs[0], call.constants(self._made_of))
        keys = {role: key for role, tensor in held.items() if (key := self._origin(tensor)) is not None}
        scope = self._calls[-1].path if self._calls else ""
        home = keys.get("weight", "").rpartition(".")[0]
        # A weight that is used without calling its module: the module is what the reader knows.
        path = home if home and home != scope and kind in {"conv2d", "linear", "batch_norm"} else _join(scope, name)
        op = self._op(path, kind, inputs, output, attributes, tensors, keys, call, native)
        self._recorder.add(op, output, lambda: _array(output))

    def _op(
        self,
        path: str,
        kind: str,
        inputs: Sequence[Tensor],
        output: Tensor,
        attributes: Mapping[str, object],
        tensors: Mapping[str, Tensor],
        keys: Mapping[str, str],
        call: Callable[[Sequence[Tensor]], Tensor],
        native: bool,
        inner: tuple[Op, ...] = (),
    ) -> Op:
        return Op(
            layer=self._recorder.name(path),
            path=path,
            kind=kind,
            inputs=tuple(self._recorder.producer(tensor) or "" for tensor in inputs),
            attributes=attributes,
            parameters={role: _array(tensor) for role, tensor in tensors.items()},
            shape=tuple(output.shape),
            dtype=str(output.dtype).removeprefix("torch."),
            in_place=any(output is tensor for tensor in inputs),
            native=native,
            keys=keys,
            inner=inner,
            source=calling_line(),
            run=_runner(call, draws=not native or kind == "dropout"),
        )

    # In which module

    @contextlib.contextmanager
    def hooks(self) -> Iterator[None]:
        """Hooks for all modules there are, registered or made on the way; nothing is attached to any of them."""
        before = register_module_forward_pre_hook(self._entering)
        # Always: a network may catch what one of its modules raises, and go on.
        after = register_module_forward_hook(self._leaving, with_kwargs=True, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()
            # torch forgets to forget this one.
            module_machinery._global_forward_hooks_with_kwargs.pop(after.id, None)

    def _entering(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        above = self._calls[-1] if self._calls else None
        path = self._paths.get(id(module))
        if path is None:
            path = _join(above.path if above else "", type(module).__name__)
        atomic = (above is not None and above.atomic) or _is_atomic(module)
        call = _Call(module, path, atomic, len(self._recorder.recording.ops))
        self._calls.append(call)
        if module._forward_hooks:
            # A hook of the network's own may change what the module gives, and runs after those for all modules.
            call.hook = module.register_forward_hook(self._left, with_kwargs=True, always_call=True)

    def _leaving(self, module: nn.Module, args: tuple[Any, ...], *rest: Any) -> None:
        if self._calls[-1].hook is None:
            self._left(module, args, *rest)

    def _left(self, module: nn.Module, args: tuple[Any, ...], *rest: Any) -> None:
        # Where the module raised, torch gives no output, and forgets the keywords too.
        kwargs, output = rest if len(rest) == 2 else ({}, None)
        call = self._calls[-1]
        try:
            inside_other = len(self._calls) > 1 and self._calls[-2].atomic
            if output is None:
                self._note_module_crash(call, args, kwargs)
            elif not inside_other:
                call.arguments = (args, kwargs)
                with _ours(call.path):
                    self._module(call, output)
        finally:
            if call.hook is not None:
                call.hook.remove()
            # Last, so that what we did ourselves above is not taken for the network's.
            self._calls.pop()

    def _module(self, call: _Call, output: object) -> None:
        leaves, spec = tree_flatten(call.arguments)
        if call.atomic:
            slots = [i for i, leaf in enumerate(leaves) if self._made(leaf)]
            kind, own = _kind_of_module(call.module), dict(_own_tensors(call.module))
            if not slots:
                return
            attributes = attributes_of(kind, call.module)
            # torch's own layers name their tensors as we do.
            self._add_module(call, kind, attributes, own, {name: name for name in own}, leaves, spec, slots, output, ())
            return
        inside = tuple(self._recorder.recording.ops[call.start :])
        if not call.path or call.path in self._open or not isinstance(output, Tensor) or not inside:
            return
        if self._recorder.producer(output) not in {op.layer for op in inside}:
            return
        self._maybe_fold(call, inside, output)

    def _maybe_fold(self, call: _Call, inside: tuple[Op, ...], output: Tensor) -> None:
        leaves, spec = tree_flatten(call.arguments)
        slots = [i for i, leaf in enumerate(leaves) if self._made_before(leaf, call.start)]
        made = {op.layer for op in inside}
        taken = {layer for op in inside for layer in op.inputs} - made
        if not taken <= {self._recorder.producer(leaves[i]) for i in slots}:
            return
        own = dict(_own_tensors(call.module))
        shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
        leaf = next(call.module.children(), None) is None
        if len(inside) == 1 and leaf:
            # One operation in a wrapper: what is known of it, under the wrapper's name.
            (op,) = inside
            named = kind_of_class(type(call.module).__name__)
            kind = op.kind if named == type(call.module).__name__ else named
            attributes = {**attributes_of(kind, call.module), **op.attributes}
            roles = _roles_of(op, own, self._origin)
        else:
            mine = [key for tensor in own.values() if (key := self._origin(tensor)) is not None]
            found = kind_of_own_class(type(call.module).__name__, leaf=leaf, own=shapes, inside=inside, mine=mine)
            if found is None:
                return
            kind, attributes, roles = found, attributes_of(found, call.module), roles_by_name(shapes)
        self._add_module(call, kind, attributes, own, roles, leaves, spec, slots, output, inside)

    def _add_module(
        self,
        call: _Call,
        kind: str,
        attributes: dict[str, object],
        own: Mapping[str, Tensor],
        roles: Mapping[str, str],
        leaves: Sequence[Any],
        spec: Any,
        slots: Sequence[int],
        output: object,
        inside: tuple[Op, ...],
    ) -> None:
        tensors = {role: own[name] for name, role in roles.items()}
        keys = {role: key for role, tensor in tensors.items() if (key := self._origin(tensor)) is not None}
        if len(inside) == 1:
            tensors, keys = {}, dict(inside[0].keys)
        inputs = [leaves[i] for i in slots]
        constants = [None if i in slots else leaf for i, leaf in enumerate(leaves)]
        for pick, tensor in _tensors(output):
            again = _ModuleCall(call.module, constants, slots, spec, pick)
            native = not inside and len(slots) == 1 and is_native_module(call.module)
            run = native_call(call.module) if native else again
            op = self._op(call.path, kind, inputs, tensor, attributes, tensors, keys, run, native, inside)
            if len(inside) == 1:
                op = _with_parameters(op, inside[0])
            if inside:
                self._recorder.fold(call.start, op, tensor, lambda tensor=tensor: _array(tensor))  # type: ignore[misc]
            else:
                self._recorder.add(op, tensor, lambda tensor=tensor: _array(tensor))  # type: ignore[misc]

    # Who made what

    def _made(self, value: object) -> bool:
        return isinstance(value, Tensor) and self._recorder.producer(value) is not None

    def _made_before(self, value: object, start: int) -> bool:
        if not self._made(value):
            return False
        layer = self._recorder.producer(value)
        return layer not in {op.layer for op in self._recorder.recording.ops[start:]}

    def _origin(self, tensor: object) -> str | None:
        """The one of the network's own tensors that `tensor` is, or was made of; None if there is not just one."""
        names = self._made_of(tensor)
        return next(iter(names)) if len(names) == 1 else None

    def _made_of(self, tensor: object) -> frozenset[str]:
        ref, names = self._origins.get(id(tensor), (None, frozenset[str]()))
        return names if ref is not None and ref() is tensor else frozenset()

    def _follow(self, leaves: Sequence[Any], output: object) -> None:
        """What is made of parameters alone is still theirs: permuted, reshaped, cast."""
        names = frozenset[str]().union(*(self._made_of(leaf) for leaf in leaves if isinstance(leaf, Tensor)))
        if names and isinstance(output, Tensor) and not self._made_of(output):
            self._origins[id(output)] = (weakref.ref(output), names)

    # Where it ended

    def crash_of(self, error: Exception) -> Crash:
        """Where `error` was raised, as closely as it was seen; the operation that raised goes into the record."""
        if self._crash is not None and self._crash[0] is error:
            self._recorder.recording.crashed = self._crash[2]
            return self._crash[1]
        return Crash("", "", "", type(error).__name__, _first_line(error), source=_raised_at(error))

    def _note_crash(
        self, error: Exception, kind: str, inputs: Sequence[Tensor], named: Mapping[str, Any], call: _TensorCall
    ) -> None:
        scope = self._calls[-1].path if self._calls else ""
        attributes = settings(kind, named)
        tensors = {role: named[role] for role in ROLES if isinstance(named.get(role), Tensor)}
        if "weight" in tensors and kind == "conv2d":
            attributes["kernel_size"] = tuple(tensors["weight"].shape[2:])
        self._keep_crash(error, _join(scope, kind), kind, inputs, attributes, tensors, call)

    def _note_module_crash(self, call: _Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        error = sys.exc_info()[1]
        if not call.atomic or not isinstance(error, Exception) or isinstance(error, (StopForward, ValueLeftError)):
            return
        if len(self._calls) > 1 and self._calls[-2].atomic:
            return
        kind = _kind_of_module(call.module)
        leaves, spec = tree_flatten((args, kwargs))
        slots = [i for i, leaf in enumerate(leaves) if self._made(leaf)]
        constants = [None if i in slots else leaf for i, leaf in enumerate(leaves)]
        again = _ModuleCall(call.module, constants, slots, spec, None)
        inputs, tensors = [leaves[i] for i in slots], dict(_own_tensors(call.module))
        self._keep_crash(error, call.path, kind, inputs, attributes_of(kind, call.module), tensors, again)

    def _keep_crash(
        self,
        error: Exception,
        path: str,
        kind: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, object],
        tensors: Mapping[str, Tensor],
        call: Callable[[Sequence[Tensor]], Tensor],
    ) -> None:
        if self._crash is not None and self._crash[0] is error:
            return
        op = Op(
            layer=self._recorder.name(path),
            path=path,
            kind=kind,
            inputs=tuple(self._recorder.producer(tensor) or "" for tensor in inputs),
            attributes=attributes,
            parameters={role: _array(tensor) for role, tensor in tensors.items()},
            shape=(),
            dtype="float32",
            keys={role: key for role, tensor in tensors.items() if (key := self._origin(tensor)) is not None},
            source=calling_line(),
            run=_runner(call),
        )
        crash = Crash(
            layer=op.layer,
            path=path,
            kind=kind,
            error=type(error).__name__,
            message=_first_line(error),
            inputs=op.inputs,
            input_shapes=tuple(tuple(tensor.shape) for tensor in inputs),
            attributes=attributes,
            parameter_shapes={role: tuple(tensor.shape) for role, tensor in tensors.items()},
            source=op.source,
        )
        self._crash = (error, crash, op)


# Running again


class _WatchingFailed(BaseException):
    """What watches the network failed: no network catches it, and it is no crash of the network's."""


@contextlib.contextmanager
def _ours(what: str) -> Iterator[None]:
    try:
        yield
    except (StopForward, ValueLeftError):
        raise
    except Exception as error:
        raise _WatchingFailed(f"{what}: {type(error).__name__}: {_first_line(error)}") from error


@dataclass(frozen=True)
class _TensorCall:
    function: Callable[..., Any]
    leaves: Sequence[Any]
    slots: Sequence[int]
    spec: Any
    pick: int | None
    gives_first: bool

    def __call__(self, tensors: Sequence[Tensor]) -> Tensor:
        args, kwargs = _filled(self.leaves, self.slots, self.spec, tensors)
        result = self.function(*args, **kwargs)
        given = args[0] if self.gives_first else result
        picked: Tensor = given if self.pick is None else tree_flatten(given)[0][self.pick]
        return picked

    def constants(self, made_of: Callable[[object], frozenset[str]]) -> list[Tensor]:
        """The tensors among its arguments that are parameters of the network, or made of some."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Tensor) and made_of(leaf)]


def _function_call(
    function: Callable[..., Any],
    leaves: Sequence[Any],
    slots: Sequence[int],
    spec: Any,
    pick: int | None,
    *,
    gives_first: bool,
) -> _TensorCall:
    return _TensorCall(function, leaves, slots, spec, pick, gives_first)


@dataclass(frozen=True)
class _ModuleCall:
    module: nn.Module
    leaves: Sequence[Any]
    slots: Sequence[int]
    spec: Any
    pick: int | None

    def __call__(self, tensors: Sequence[Tensor]) -> Tensor:
        dtype = tensors[0].dtype
        buffers = {name: _like(buffer, dtype, copy=True) for name, buffer in self.module.named_buffers()}
        parameters = {name: _like(parameter, dtype) for name, parameter in self.module.named_parameters()}
        args, kwargs = _filled(self.leaves, self.slots, self.spec, tensors)
        # On copies of what it could change, and in the precision of its inputs: the module stays as it is.
        result = functional_call(self.module, {**parameters, **buffers}, args, kwargs)
        picked: Tensor = result if self.pick is None else tree_flatten(result)[0][self.pick]
        return picked


def _filled(
    leaves: Sequence[Any], slots: Sequence[int], spec: Any, tensors: Sequence[Tensor]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    filled = [_like(leaf, tensors[0].dtype) for leaf in leaves]
    for i, tensor in zip(slots, tensors, strict=True):
        filled[i] = tensor
    args, kwargs = tree_unflatten(filled, spec)
    return args, kwargs


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


# Small facts


def _is_atomic(module: nn.Module) -> bool:
    """Whether a module is one of torch's own layers, or a subclass of one, and not a container."""
    if next(module.children(), None) is not None or isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        return False
    own = next(cls for cls in type(module).__mro__ if cls.__module__.startswith("torch.nn."))
    return own is not nn.Module


def _kind_of_module(module: nn.Module) -> str:
    names = [cls.__name__ for cls in type(module).__mro__ if cls.__module__.startswith("torch.nn.")]
    return kind_of_class(names[0] if names else type(module).__name__)


def _own_tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    named = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return [(name, tensor) for name, tensor in named if tensor.is_floating_point()]


def _of_own_tensors(
    kind: str, x: Tensor, constants: Sequence[Tensor]
) -> tuple[str, dict[str, Tensor], dict[str, Tensor]]:
    """The kind of arithmetic with the network's own tensors (a product of matrices is a linear layer, a sum is a shift),
    these tensors as that kind has them, and as they are held.
    """
    if kind == "addmm" and len(constants) == 2 and constants[1].ndim == 2:
        bias, matrix = constants
        return "linear", {"weight": matrix.t(), "bias": bias}, {"weight": matrix, "bias": bias}
    if len(constants) != 1:
        return kind, {}, {}
    (constant,) = constants
    if kind == "matmul" and constant.ndim == 2 and x.ndim == 2:
        return "linear", {"weight": constant.t()}, {"weight": constant}
    role = {"add": "bias", "sub": "bias", "mul": "weight", "div": "weight"}.get(kind)
    if role is None:
        return kind, {}, {}
    return {"bias": "shift", "weight": "scale"}[role], {role: constant}, {role: constant}


_NEUTRAL = {"add": 0, "sub": 0, "mul": 1, "div": 1}


def _is_neutral(kind: str, args: Sequence[Any]) -> bool:
    """Whether a number is added or multiplied that changes nothing: `sum(...)` begins with 0."""
    return any(isinstance(arg, (int, float)) and arg == _NEUTRAL[kind] for arg in args[1:2])


def _roles_of(op: Op, own: Mapping[str, Tensor], origin: Callable[[object], str | None]) -> dict[str, str]:
    return {name: role for name, tensor in own.items() for role, key in op.keys.items() if origin(tensor) == key}


def _with_parameters(op: Op, inner: Op) -> Op:
    import dataclasses

    return dataclasses.replace(op, parameters=inner.parameters, keys=inner.keys)


def _array(tensor: Tensor) -> Array:
    if tensor.is_meta:
        # Of a shape, and of no size in memory: there are no values.
        return np.broadcast_to(np.float32(0), tuple(tensor.shape))
    found: Array = tensor.detach().numpy()
    return found


def _tensors(output: object) -> list[tuple[int | None, Tensor]]:
    """The tensors an operation gave, each with its place where there are several."""
    if isinstance(output, Tensor):
        return [(None, output)]
    if not isinstance(output, (tuple, list)):
        return []
    leaves = tree_flatten(output)[0]
    return [(i, leaf) for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]


def _describe(output: object, recorder: Recorder) -> str:
    """What a network gave, if it is not one tensor."""
    if output is None:
        return "nothing (None)"
    items: list[tuple[object, object]] = []
    if isinstance(output, Mapping):
        items = list(output.items())
    elif isinstance(output, (tuple, list)):
        items = list(enumerate(output))
    made = [
        f"{'item ' if isinstance(name, int) else ''}{name!r} is the output of {recorder.producer(value)}"
        for name, value in items
        if isinstance(value, Tensor) and recorder.producer(value) is not None
    ]
    count = f" of {len(items)}" if items else ""
    return f"a {type(output).__name__}{count}" + (": " + ", ".join(made) if made else "")


def _join(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0]


def _raised_at(error: BaseException) -> str | None:
    from layerdiff.compare.source import line_of_traceback

    return line_of_traceback(error.__traceback__)


@contextlib.contextmanager
def _buffers_restored(network: nn.Module) -> Iterator[None]:
    saved = {name: buffer.clone() for name, buffer in network.named_buffers() if not buffer.is_meta}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in network.named_buffers():
                if name in saved:
                    buffer.copy_(saved[name])
