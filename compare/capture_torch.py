"""Capture of a torch network: a function mode sees every operation, hooks see in which module it runs."""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_machinery
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from layerdiff.compare.crash import Crash
from layerdiff.compare.folding import kind_of_own_class, roles_by_name
from layerdiff.compare.functions import ROLES, name_of_function, named_arguments, settings
from layerdiff.compare.kinds import LOOKING, attributes_of, family, kind_of_class
from layerdiff.compare.native import is_native_function, is_native_module, native_call
from layerdiff.compare.own_backward import applications_seen
from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.recorder import Recorder, Recording, StopForward, ValueLeftError
from layerdiff.compare.source import calling_line, line_of_traceback
from layerdiff.compare.torch_calls import Arguments, Derived, FunctionCall, ModuleCall, TensorCall, flattened, runner
from layerdiff.compare.torch_facts import (
    array_of,
    description,
    imprint_of,
    is_atomic,
    is_neutral,
    joined,
    kind_of_module,
    of_own_tensors,
    own_tensors,
    tensors_in,
)
from layerdiff.compare.torch_pull import puller, tensors_of_call
from layerdiff.compare.torch_state import buffers_restored, gradients_on, random_state
from layerdiff.compare.torch_variation import Vary, function_varied, module_varied
from layerdiff.compare.trace import Array, Op, OwnBackward
from layerdiff.errors import InputError

__all__ = ["record_torch"]


def record_torch(
    network: nn.Module, x: Array | Tensor, *, until: str | None = None, keep: bool = False, survive: bool = False,
    graded: bool = False,
) -> Recording:  # fmt: skip
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
        graded: note of each operation whether gradients were switched off when it ran.
    """
    open_: set[str] = set()
    tensor = x if isinstance(x, Tensor) else torch.from_numpy(x)
    while True:
        try:
            return _record(network, tensor, until=until, keep=keep, survive=survive, open_=open_, graded=graded)
        except ValueLeftError as left:
            # What was taken for one operation gives something away that is used elsewhere: it is not one.
            if left.path in open_:
                raise
            open_.add(left.path)


def _record(
    network: nn.Module, x: Tensor, *, until: str | None, keep: bool, survive: bool, open_: set[str], graded: bool
) -> Recording:
    recorder = Recorder(x, imprint_of, until=until, keep=keep)
    watch = _Watch(recorder, network, open_, graded=graded)
    managers = (
        buffers_restored(network), torch.random.fork_rng(devices=[]),
        gradients_on(network) if graded else torch.no_grad(), watch.hooks(),
        applications_seen(watch.applied), watch,
    )  # fmt: skip
    recording = recorder.recording
    with contextlib.ExitStack() as stack:
        for manager in managers:
            stack.enter_context(manager)
        drawn = random_state()
        try:
            output = network(x)
        except StopForward:
            recording.stopped = True
            return recording
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
        recording.random = random_state() != drawn
        recording.crash = None
        # Before the buffers are put back: what is returned may be one of them.
        with _ours("the network's end"):
            if isinstance(output, Tensor) and not output.is_meta:
                recorder.takes(output, "the network's end")
                recorder.returns(output, array_of(output).copy())
            else:
                words = "" if isinstance(output, Tensor) else description(output, recorder.producer)
                recorder.returns(output, None, words)
    return recording


@dataclass
class _Call:
    """A module that is running."""

    module: nn.Module
    path: str
    atomic: bool
    start: int = 0
    hook: RemovableHandle | None = None
    arguments: Arguments = field(default=Arguments((), (), None))


@dataclass(frozen=True)
class _What:
    """An operation, apart from where it stands and what it made.

    Attributes:
        kind: conv2d, relu, …
        attributes: that matter for it.
        tensors: its parameters, by role, as the kind has them.
        held: the same as the network holds them.
        native: whether it is torch's own code and nothing else.
    """

    kind: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    held: Mapping[str, Tensor] = field(default_factory=dict)
    native: bool = False


_STATISTICS = ("running_mean", "running_var")
"""Roles of tensors that are observed, not learned, wherever somebody keeps them."""


class _Watch(TorchFunctionMode):
    """Sees every module and function that runs, and tells the recorder."""

    def __init__(self, recorder: Recorder, network: nn.Module, open_: set[str], *, graded: bool) -> None:
        super().__init__()
        self._recorder, self._network, self._open, self._graded = recorder, network, open_, graded
        self._on = True
        self._calls: list[_Call] = []
        self._paths: dict[int, str] = {}
        self._names = {id(tensor): name for name, tensor in network.named_parameters()}
        for path, module in network.named_modules(remove_duplicate=False):
            self._paths.setdefault(id(module), path)
        # From which of the network's tensors, by name, a tensor was made without the input.
        self._origins: dict[int, tuple[weakref.ref[Any], frozenset[str]]] = {}
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            self._origins[id(tensor)] = (weakref.ref(tensor), frozenset({name}))
        self._derived: dict[int, Derived] = {}
        self._crash: tuple[BaseException, Crash, Op] | None = None

    # What runs

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch._C._set_grad_enabled:
            self._on = bool(args[0])
        if self._calls and self._calls[-1].atomic:
            return func(*args, **kwargs)
        # Where the result is written makes no difference to what it is, so it is run again without that.
        given = flattened(args, {name: value for name, value in kwargs.items() if name != "out"}, self._made)
        if not given.slots:
            output = func(*args, **kwargs)
            self._follow(func, given, output)
            return output
        kind = name_of_function(func)
        if kind in LOOKING and (line := calling_line()) is not None:
            self._recorder.recording.looks.add(line)
        named = named_arguments(func, kind, args, kwargs)
        self._takes(given, joined(self._scope, kind))
        if is_neutral(kind, args):
            kind = "identity"
        what = _of_function(kind, named, is_native_function(func, kwargs))
        try:
            output = func(*args, **kwargs)
        except Exception as error:
            again = FunctionCall(func, self._with_derived(given.emptied()))
            self._keep_crash(error, joined(self._scope, kind), what, given.inputs, again)
            raise
        # An assignment into a slice gives nothing, and changes its first argument.
        assigns = kind == "setitem"
        for pick, tensor in tensors_in(args[0] if assigns else output):
            with _ours(kind):
                self._function(
                    what,
                    given,
                    tensor,
                    FunctionCall(func, self._with_derived(given.emptied()), pick, gives_first=assigns),
                )
        return output

    def _takes(self, given: Arguments, by: str) -> None:
        for tensor in given.inputs:
            self._recorder.takes(tensor, by)

    def _function(self, what: _What, given: Arguments, output: Tensor, call: FunctionCall) -> None:
        name, inputs = what.kind, given.inputs
        if not what.tensors and len(inputs) == 1:
            constants = [leaf for leaf in given.leaves if isinstance(leaf, Tensor) and self._made_of(leaf)]
            kind, tensors, held = of_own_tensors(name, inputs[0], constants)
            what = replace(what, kind=kind, tensors=tensors, held=held)
        home = (self._keys(what.held).get("weight") or "").rpartition(".")[0]
        # A weight that is used without calling its module: the module is what the reader knows.
        direct = home and home != self._scope and what.kind in {"conv2d", "linear", "batch_norm"}
        path = home if direct else joined(self._scope, name)
        op = self._op(path, what, inputs, output, call, function_varied(call, what.kind))
        self._recorder.add(op, output, lambda: array_of(output))

    def _op(
        self, path: str, what: _What, inputs: Sequence[Tensor], output: Tensor, call: FunctionCall | ModuleCall,
        vary: Vary | None, again: TensorCall | None = None,
    ) -> Op:  # fmt: skip
        """An operation; `again` runs it where `call` itself need not."""
        return Op(
            layer=self._recorder.name(path),
            path=path,
            kind=what.kind,
            inputs=tuple(self._recorder.producer(tensor) or "" for tensor in inputs),
            attributes=what.attributes,
            parameters={role: array_of(tensor) for role, tensor in what.tensors.items()},
            shape=tuple(output.shape),
            dtype=str(output.dtype).removeprefix("torch."),
            in_place=any(output is tensor for tensor in inputs),
            native=what.native,
            keys=self._keys(what.held),
            source=calling_line(),
            run=runner(
                again or call,
                draws=not what.native or what.kind == "dropout",
                dtypes=[tensor.dtype for tensor in inputs],
                native=what.native,
            ),
            vary=vary,
            pull=puller(call, self._own(call, *(what.held.get(role) for role in _STATISTICS))),
            graded=self._is_graded(),
        )

    # What has a backward of its own

    def applied(self, cls: Any, apply: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a `torch.autograd.Function`, and notes that gradients go through what ran in it by its own backward."""
        start = len(self._recorder.recording.ops)
        given = flattened(args, kwargs, self._made)
        output = apply(*args, **kwargs)
        inside = self._recorder.recording.ops[start:]
        if not inside or not isinstance(output, Tensor) or self._recorder.producer(output) != inside[-1].layer:
            return output
        with _ours(cls.__name__):
            call = FunctionCall(cls.apply, self._with_derived(given.emptied()))
            inputs = tuple(self._recorder.producer(tensor) or "" for tensor in given.inputs)
            if set(outside_inputs(inside)) <= set(inputs):
                layers = tuple(op.layer for op in inside)
                own = OwnBackward(cls.__name__, layers, inputs, puller(call, self._own(call)))
                self._recorder.recording.ops[start:] = [replace(op, own_backward=own) for op in inside]
        return output

    def _is_graded(self) -> bool:
        """Whether gradients are on, as far as that is looked at.

        Not what torch says of now: it switches them off itself where a backward of somebody's own takes over.
        """
        return not self._graded or (self._on and not torch.is_inference_mode_enabled())

    def _own(self, call: FunctionCall | ModuleCall, *without: Tensor | None) -> dict[str, Tensor]:
        """The network's own parameters that take part in a call, by their names, but for some."""
        others = {id(tensor) for tensor in without}
        found = (tensor for tensor in tensors_of_call(call) if id(tensor) not in others)
        return {self._names[id(tensor)]: tensor for tensor in found if id(tensor) in self._names}

    # In which module

    @property
    def _scope(self) -> str:
        return self._calls[-1].path if self._calls else ""

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
        path = self._paths.get(id(module)) if id(module) in self._paths else joined(self._scope, type(module).__name__)
        atomic = (bool(self._calls) and self._calls[-1].atomic) or is_atomic(module)
        # A hook of the network's own may change what the module is given: that is part of what runs in it.
        atomic = atomic and not module._forward_pre_hooks
        call = _Call(module, path or "", atomic, len(self._recorder.recording.ops))
        self._calls.append(call)
        with _ours(call.path):
            call.arguments = flattened(inputs, {}, self._made)
            if call.atomic and not (len(self._calls) > 1 and self._calls[-2].atomic):
                self._takes(call.arguments, call.path)
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
        inside_other = len(self._calls) > 1 and self._calls[-2].atomic
        try:
            if not inside_other:
                with _ours(call.path):
                    # Where a hook of its own changed what it was given, it is what came before that hook.
                    if not call.module._forward_pre_hooks:
                        call.arguments = flattened(args, kwargs, self._made)
                    self._module(call, output)
        finally:
            if call.hook is not None:
                call.hook.remove()
            # Last, so that what we did ourselves above is not taken for the network's.
            self._calls.pop()

    def _module(self, call: _Call, output: object) -> None:
        if output is None:
            error = sys.exc_info()[1]
            raised = isinstance(error, Exception) and not isinstance(error, StopForward | ValueLeftError)
            if raised and (what := self._of_raising(call)) is not None:
                again = ModuleCall.of(call.module, call.arguments.emptied())
                self._keep_crash(cast(Exception, error), call.path, what, call.arguments.inputs, again)
        elif not call.atomic:
            self._maybe_fold(call, output)
        elif call.arguments.slots:
            what = _of_module(call)
            for pick, tensor in tensors_in(output):
                again = ModuleCall.of(call.module, call.arguments.emptied(), pick)
                run = native_call(call.module) if what.native and not _is_mixed(call) else None
                vary = module_varied(again, {role: role for role in what.tensors})
                op = self._op(call.path, what, call.arguments.inputs, tensor, again, vary, run)
                self._recorder.add(op, tensor, lambda tensor=tensor: array_of(tensor))  # type: ignore[misc]

    def _maybe_fold(self, call: _Call, output: object) -> None:
        """Make one operation of what ran in a class of the network's own, if that is what it is."""
        inside = tuple(self._recorder.recording.ops[call.start :])
        if not call.path or call.path in self._open or not isinstance(output, Tensor) or not inside:
            return
        made = {op.layer for op in inside}
        given = call.arguments
        given = replace(
            given, slots=tuple(i for i in given.slots if self._recorder.producer(given.leaves[i]) not in made)
        )
        taken = {layer for op in inside for layer in op.inputs} - made
        known = taken <= {self._recorder.producer(tensor) for tensor in given.inputs}
        if not known or self._recorder.producer(output) not in made:
            return
        leaf = next(call.module.children(), None) is None
        if len(inside) == 1 and leaf:
            op = self._wrapped(call, inside[0], given)
        else:
            what = self._of_own_class(call.module, inside, leaf=leaf)
            if what is None:
                return
            again = ModuleCall.of(call.module, given.emptied())
            own = own_tensors(call.module)
            roles = {role: name for role, tensor in what.tensors.items() for name, one in own.items() if one is tensor}
            op = self._op(call.path, what, given.inputs, output, again, module_varied(again, roles))
        folded = replace(op, inner=inside)
        self._recorder.fold(call.start, folded, output, lambda: array_of(output))

    def _wrapped(self, call: _Call, op: Op, given: Arguments) -> Op:
        """One operation in a wrapper: what is known of it, under the wrapper's name."""
        name = type(call.module).__name__
        kind = kind_of_class(name) if family(kind_of_class(name), op.kind) and not _is_bounded(op) else op.kind
        attributes = {**attributes_of(kind, call.module), **op.attributes}
        layer = self._recorder.name(call.path)
        again = ModuleCall.of(call.module, given.emptied())
        return replace(
            op, layer=layer, path=call.path, kind=kind, attributes=attributes, native=False, own_backward=None,
            pull=puller(again, self._own(again)),
        )  # fmt: skip

    def _of_own_class(self, module: nn.Module, inside: tuple[Op, ...], *, leaf: bool) -> _What | None:
        own = own_tensors(module)
        shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
        mine = list(self._keys(own).values())
        kind = kind_of_own_class(type(module).__name__, leaf=leaf, own=shapes, inside=inside, mine=mine)
        if kind is None:
            return None
        tensors = {role: own[name] for name, role in roles_by_name(shapes).items()}
        return _What(kind, attributes_of(kind, module), tensors, tensors)

    def _of_raising(self, call: _Call) -> _What | None:
        """What a module that raised would have been; None where that cannot be said of it as a whole."""
        if call.atomic:
            return _of_module(call)
        # It has looked at what it was given, and refused it.
        leaf, ran = next(call.module.children(), None) is None, len(self._recorder.recording.ops) > call.start
        return self._of_own_class(call.module, (), leaf=leaf) if leaf and call.path and not ran else None

    # Who made what

    def _made(self, value: object) -> bool:
        return isinstance(value, Tensor) and self._recorder.producer(value) is not None

    def _keys(self, tensors: Mapping[str, Tensor]) -> dict[str, str]:
        """For each tensor the one of the network's own, by name, that it is or was made of, where there is just one."""
        made_of = {role: self._made_of(tensor) for role, tensor in tensors.items()}
        return {role: next(iter(names)) for role, names in made_of.items() if len(names) == 1}

    def _made_of(self, tensor: object) -> frozenset[str]:
        ref, names = self._origins.get(id(tensor), (None, frozenset[str]()))
        return names if ref is not None and ref() is tensor else frozenset()

    def _follow(self, function: Any, given: Arguments, output: object) -> None:
        """What is made of parameters alone is still theirs: permuted, reshaped, scaled."""
        tensors = [leaf for leaf in given.leaves if isinstance(leaf, Tensor)]
        names = frozenset[str]().union(*(self._made_of(tensor) for tensor in tensors))
        if not names or not isinstance(output, Tensor) or self._made_of(output):
            return
        self._origins[id(output)] = (weakref.ref(output), names)
        self._derived[id(output)] = Derived(output, function, self._with_derived(given))

    def _with_derived(self, given: Arguments) -> Arguments:
        """The arguments of a call, with how each tensor in them was made of the network's own."""
        leaves = (self._derived.get(id(leaf), leaf) if isinstance(leaf, Tensor) else leaf for leaf in given.leaves)
        return replace(given, leaves=tuple(leaves))

    # Where it ended

    def crash_of(self, error: Exception) -> Crash:
        """Where `error` was raised, as closely as it was seen; the operation that raised goes into the record."""
        if self._crash is not None and self._crash[0] is error:
            self._recorder.recording.crashed = self._crash[2]
            return self._crash[1]
        return Crash(
            "", "", "", type(error).__name__, _first_line(error), source=line_of_traceback(error.__traceback__)
        )

    def _keep_crash(
        self, error: Exception, path: str, what: _What, inputs: Sequence[Tensor], call: FunctionCall | ModuleCall
    ) -> None:
        if self._crash is not None and self._crash[0] is error:
            return
        # Of what it would have made nothing is known.
        if isinstance(call, ModuleCall):
            vary = module_varied(call, {role: role for role in what.tensors})
        else:
            vary = function_varied(call, what.kind)
        op = replace(self._op(path, what, inputs, torch.empty(0), call, vary), shape=(), dtype="float32")
        crash = Crash(
            layer=op.layer,
            path=path,
            kind=what.kind,
            error=type(error).__name__,
            message=_first_line(error),
            inputs=op.inputs,
            input_shapes=tuple(tuple(tensor.shape) for tensor in inputs),
            attributes=what.attributes,
            parameter_shapes={role: tuple(tensor.shape) for role, tensor in what.tensors.items()},
            source=op.source,
        )
        self._crash = (error, crash, op)


def _is_bounded(op: Op) -> bool:
    """Whether an operation cuts values off above: a class that is called ReLU is none then."""
    return op.kind in {"hardtanh", "relu6"} or (op.kind == "clamp" and op.attributes.get("max") is not None)


def _of_function(kind: str, named: Mapping[str, Any], native: bool) -> _What:
    tensors = {role: named[role] for role in ROLES if isinstance(named.get(role), Tensor)}
    if kind == "conv2d" and "weight" in tensors:
        named = {**named, "kernel_size": tuple(tensors["weight"].shape[2:])}
    return _What(kind, settings(kind, named), tensors, tensors, native)


def _of_module(call: _Call) -> _What:
    """One of torch's own layers, which name their tensors as we do."""
    kind, tensors = kind_of_module(call.module), own_tensors(call.module)
    native = len(call.arguments.slots) == 1 and is_native_module(call.module)
    return _What(kind, attributes_of(kind, call.module), tensors, tensors, native)


def _is_mixed(call: _Call) -> bool:
    """Whether a module computes with tensors of another precision than it is given."""
    own = own_tensors(call.module).values()
    return any(tensor.dtype != call.arguments.dtype for tensor in own)


class _WatchingFailed(BaseException):
    """What watches the network failed: no network catches it, and it is no crash of the network's."""


@contextlib.contextmanager
def _ours(what: str) -> Iterator[None]:
    """Our own work, which is not the network's: neither what it does to tensors nor what it raises."""
    try:
        with torch._C.DisableTorchFunction():
            yield
    except (StopForward, ValueLeftError):
        raise
    except Exception as error:
        raise _WatchingFailed(f"{what}: {type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0]
