"""Every function of torch's that runs in a network is seen by a function mode, and becomes an operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from layerdiff.compare.crash import Crash
from layerdiff.compare.functions import name_of_function, named_arguments
from layerdiff.compare.kinds import LOOKING
from layerdiff.compare.native import is_native_function
from layerdiff.compare.pairs import outside_inputs
from layerdiff.compare.recorder import Recorder
from layerdiff.compare.source import calling_line
from layerdiff.compare.torch_calls import Arguments, FunctionCall, flattened
from layerdiff.compare.torch_facts import array_of, is_neutral, joined, of_own_tensors, tensors_in
from layerdiff.compare.torch_folds import Folds
from layerdiff.compare.torch_made import Made
from layerdiff.compare.torch_modules import Modules
from layerdiff.compare.torch_origins import Origins
from layerdiff.compare.torch_ours import ours
from layerdiff.compare.torch_pull import puller
from layerdiff.compare.torch_variation import function_varied
from layerdiff.compare.torch_what import What, of_function
from layerdiff.compare.trace import OwnBackward

__all__ = ["Watch"]


class Watch(TorchFunctionMode):
    """Sees every module and function that runs, and tells the recorder.

    Args:
        recorder: is told.
        network: runs while this is entered, and `modules.hooks()` too.
        open_: paths of its classes that are not to be taken for one operation.
        graded: note of each operation whether gradients were switched off when it ran.
    """

    def __init__(self, recorder: Recorder, network: nn.Module, open_: set[str], *, graded: bool) -> None:
        super().__init__()
        self._recorder, self._origins = recorder, Origins(network)
        self._made = Made(recorder, self._origins, graded=graded)
        self.modules = Modules(network, recorder, self._made, Folds(recorder, self._origins, self._made, open_))

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch._C._set_grad_enabled:
            self._made.gradients = bool(args[0])
        if self.modules.inside_atomic:
            return func(*args, **kwargs)
        # Where the result is written makes no difference to what it is, so it is run again without that.
        given = flattened(args, {name: value for name, value in kwargs.items() if name != "out"}, self._made.is_made)
        if not given.slots:
            output = func(*args, **kwargs)
            self._origins.follow(func, given, output)
            return output
        kind = name_of_function(func)
        if kind in LOOKING and (line := calling_line()) is not None:
            self._recorder.recording.looks.add(line)
        named = named_arguments(func, kind, args, kwargs)
        self._made.takes(given, joined(self.modules.scope, kind))
        if is_neutral(kind, args):
            kind = "identity"
        what = of_function(kind, named, is_native_function(func, kwargs))
        try:
            output = func(*args, **kwargs)
        except Exception as error:
            again = FunctionCall(func, self._origins.with_derived(given.emptied()))
            self._made.keep_crash(error, joined(self.modules.scope, kind), what, given.inputs, again)
            raise
        # An assignment into a slice gives nothing, and changes its first argument.
        assigns = kind == "setitem"
        for pick, tensor in tensors_in(args[0] if assigns else output):
            with ours(kind):
                emptied = self._origins.with_derived(given.emptied())
                self._ran(what, given, tensor, FunctionCall(func, emptied, pick, gives_first=assigns))
        return output

    def _ran(self, what: What, given: Arguments, output: Tensor, call: FunctionCall) -> None:
        name, inputs = what.kind, given.inputs
        if not what.tensors and len(inputs) == 1:
            constants = [leaf for leaf in given.leaves if isinstance(leaf, Tensor) and self._origins.of(leaf)]
            kind, tensors, held = of_own_tensors(name, inputs[0], constants)
            what = replace(what, kind=kind, tensors=tensors, held=held)
        home = (self._origins.keys(what.held).get("weight") or "").rpartition(".")[0]
        # A weight that is used without calling its module: the module is what the reader knows.
        direct = home and home != self.modules.scope and what.kind in {"conv2d", "linear", "batch_norm"}
        path = home if direct else joined(self.modules.scope, name)
        op = self._made.op(path, what, inputs, output, call, function_varied(call, what.kind))
        self._recorder.add(op, output, lambda: array_of(output))

    def applied(self, cls: Any, apply: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a `torch.autograd.Function`, and notes that gradients go through what ran in it by its own backward."""
        start = len(self._recorder.recording.ops)
        given = flattened(args, kwargs, self._made.is_made)
        output = apply(*args, **kwargs)
        inside = self._recorder.recording.ops[start:]
        if not inside or not isinstance(output, Tensor) or self._recorder.producer(output) != inside[-1].layer:
            return output
        with ours(cls.__name__):
            call = FunctionCall(cls.apply, self._origins.with_derived(given.emptied()))
            inputs = tuple(self._recorder.producer(tensor) or "" for tensor in given.inputs)
            if set(outside_inputs(inside)) <= set(inputs):
                layers = tuple(op.layer for op in inside)
                own = OwnBackward(cls.__name__, layers, inputs, puller(call, self._origins.taking_part(call)))
                self._recorder.recording.ops[start:] = [replace(op, own_backward=own) for op in inside]
        return output

    def crash_of(self, error: Exception) -> Crash:
        """Where `error` was raised, as closely as it was seen; the operation that raised goes into the record."""
        return self._made.crash_of(error)
