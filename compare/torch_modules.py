"""In which module of a torch network an operation runs: hooks see every module that is called."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, cast

from torch import nn
from torch.nn.modules import module as module_machinery
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from layerdiff.compare.native import native_call
from layerdiff.compare.recorder import Recorder, StopForward, ValueLeftError
from layerdiff.compare.torch_calls import ModuleCall, flattened
from layerdiff.compare.torch_facts import array_of, is_atomic, joined, own_tensors, tensors_in
from layerdiff.compare.torch_folds import Folds, Running
from layerdiff.compare.torch_made import Made
from layerdiff.compare.torch_ours import ours
from layerdiff.compare.torch_variation import module_varied
from layerdiff.compare.torch_what import What, of_module

__all__ = ["Modules"]


class Modules:
    """The modules that are running, one in the other; what each of them is goes to the recorder when it has run.

    Args:
        network: whose modules have names; others are named for their class.
        recorder: is told of operations.
        made: makes them.
        folds: makes one of several.
    """

    def __init__(self, network: nn.Module, recorder: Recorder, made: Made, folds: Folds) -> None:
        self._recorder, self._made, self._folds = recorder, made, folds
        self._calls: list[Running] = []
        self._paths: dict[int, str] = {}
        for path, module in network.named_modules(remove_duplicate=False):
            self._paths.setdefault(id(module), path)

    @property
    def scope(self) -> str:
        """The path of the innermost module that is running."""
        return self._calls[-1].path if self._calls else ""

    @property
    def inside_atomic(self) -> bool:
        """Whether what runs now runs inside of one operation."""
        return bool(self._calls) and self._calls[-1].atomic

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
        path = self._paths.get(id(module)) if id(module) in self._paths else joined(self.scope, type(module).__name__)
        inside_other = self.inside_atomic
        # A hook of the network's own may change what the module is given: that is part of what runs in it.
        atomic = (inside_other or is_atomic(module)) and not module._forward_pre_hooks
        call = Running(module, path or "", atomic, len(self._recorder.recording.ops))
        self._calls.append(call)
        with ours(call.path):
            call.arguments = flattened(inputs, {}, self._made.is_made)
            if call.atomic and not inside_other:
                self._made.takes(call.arguments, call.path)
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
                with ours(call.path):
                    # Where a hook of its own changed what it was given, it is what came before that hook.
                    if not call.module._forward_pre_hooks:
                        call.arguments = flattened(args, kwargs, self._made.is_made)
                    self._ran(call, output)
        finally:
            if call.hook is not None:
                call.hook.remove()
            # Last, so that what we did ourselves above is not taken for the network's.
            self._calls.pop()

    def _ran(self, call: Running, output: object) -> None:
        if output is None:
            error = sys.exc_info()[1]
            raised = isinstance(error, Exception) and not isinstance(error, StopForward | ValueLeftError)
            if raised and (what := self._of_raising(call)) is not None:
                again = ModuleCall.of(call.module, call.arguments.emptied())
                self._made.keep_crash(cast(Exception, error), call.path, what, call.arguments.inputs, again)
        elif not call.atomic:
            self._folds.fold(call, output)
        elif call.arguments.slots:
            what = _of_atomic(call)
            for pick, tensor in tensors_in(output):
                again = ModuleCall.of(call.module, call.arguments.emptied(), pick)
                run = native_call(call.module) if what.native and not _is_mixed(call) else None
                vary = module_varied(again, {role: role for role in what.tensors})
                op = self._made.op(call.path, what, call.arguments.inputs, tensor, again, vary, run)
                self._recorder.add(op, tensor, lambda tensor=tensor: array_of(tensor))  # type: ignore[misc]

    def _of_raising(self, call: Running) -> What | None:
        """What a module that raised would have been; None where that cannot be said of it as a whole."""
        if call.atomic:
            return _of_atomic(call)
        # It has looked at what it was given, and refused it.
        leaf, ran = next(call.module.children(), None) is None, len(self._recorder.recording.ops) > call.start
        return self._folds.of_own_class(call.module, (), leaf=leaf) if leaf and call.path and not ran else None


def _of_atomic(call: Running) -> What:
    return of_module(call.module, takes=len(call.arguments.slots))


def _is_mixed(call: Running) -> bool:
    """Whether a module computes with tensors of another precision than it is given."""
    own = own_tensors(call.module).values()
    return any(tensor.dtype != call.arguments.dtype for tensor in own)
