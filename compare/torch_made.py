"""Operations made of what ran in a torch network, and the first of them that raised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from layerdiff.compare.crash import Crash
from layerdiff.compare.recorder import Recorder
from layerdiff.compare.source import calling_line, line_of_traceback
from layerdiff.compare.torch_calls import Arguments, FunctionCall, ModuleCall, TensorCall, runner
from layerdiff.compare.torch_facts import array_of
from layerdiff.compare.torch_origins import Origins
from layerdiff.compare.torch_ours import first_line
from layerdiff.compare.torch_pull import puller
from layerdiff.compare.torch_variation import Vary, function_varied, module_varied
from layerdiff.compare.torch_what import What
from layerdiff.compare.trace import Op

__all__ = ["Made"]

_STATISTICS = ("running_mean", "running_var")
"""Roles of tensors that are observed, not learned, wherever somebody keeps them."""


class Made:
    """Makes operations, and keeps the one that raised last.

    Args:
        recorder: knows who made which tensor out of the input.
        origins: knows it of those that were made without.
        graded: note of each operation whether gradients were switched off when it ran.
    """

    def __init__(self, recorder: Recorder, origins: Origins, *, graded: bool) -> None:
        self._recorder, self._origins, self._graded = recorder, origins, graded
        self._crash: tuple[BaseException, Crash, Op] | None = None
        self.gradients = True

    def is_made(self, value: object) -> bool:
        """Whether something is a tensor that was made out of the input."""
        return isinstance(value, Tensor) and self._recorder.producer(value) is not None

    def takes(self, given: Arguments, by: str) -> None:
        """Note that what is called `by` takes these arguments."""
        for tensor in given.inputs:
            self._recorder.takes(tensor, by)

    def op(
        self, path: str, what: What, inputs: Sequence[Tensor], output: Tensor, call: FunctionCall | ModuleCall,
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
            keys=self._origins.keys(what.held),
            source=calling_line(),
            run=runner(
                again or call,
                draws=not what.native or what.kind == "dropout",
                dtypes=[tensor.dtype for tensor in inputs],
                native=what.native,
            ),
            vary=vary,
            pull=puller(call, self._origins.taking_part(call, *(what.held.get(role) for role in _STATISTICS))),
            graded=self._is_graded(),
        )

    def _is_graded(self) -> bool:
        """Whether gradients are on, as far as that is looked at.

        Not what torch says of now: it switches them off itself where a backward of somebody's own takes over.
        """
        return not self._graded or (self.gradients and not torch.is_inference_mode_enabled())

    def keep_crash(
        self, error: Exception, path: str, what: What, inputs: Sequence[Tensor], call: FunctionCall | ModuleCall
    ) -> None:
        """Note that an operation raised `error`; the innermost one counts."""
        if self._crash is not None and self._crash[0] is error:
            return
        # Of what it would have made nothing is known.
        if isinstance(call, ModuleCall):
            vary = module_varied(call, {role: role for role in what.tensors})
        else:
            vary = function_varied(call, what.kind)
        op = replace(self.op(path, what, inputs, torch.empty(0), call, vary), shape=(), dtype="float32")
        crash = Crash(
            layer=op.layer,
            path=path,
            kind=what.kind,
            error=type(error).__name__,
            message=first_line(error),
            inputs=op.inputs,
            input_shapes=tuple(tuple(tensor.shape) for tensor in inputs),
            attributes=what.attributes,
            parameter_shapes={role: tuple(tensor.shape) for role, tensor in what.tensors.items()},
            source=op.source,
        )
        self._crash = (error, crash, op)

    def crash_of(self, error: Exception) -> Crash:
        """Where `error` was raised, as closely as it was seen; the operation that raised goes into the record."""
        if self._crash is not None and self._crash[0] is error:
            self._recorder.recording.crashed = self._crash[2]
            return self._crash[1]
        return Crash("", "", "", type(error).__name__, first_line(error), source=line_of_traceback(error.__traceback__))
