"""A network of somebody else's, with names of its own: captured, given the expected network's weights, and judged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layerdiff.compare.align import align
from layerdiff.compare.capture import capture_to_the_end
from layerdiff.compare.crash import Crash
from layerdiff.compare.judge import DTYPES, Dtype, judge
from layerdiff.compare.layout_trials import with_layouts_tried
from layerdiff.compare.result import Report
from layerdiff.compare.shape_errors import explain_crash_finding
from layerdiff.compare.structure import Structure, structure_of
from layerdiff.compare.trace import Array, Trace, upto
from layerdiff.compare.transfer import Transfer, propose, transferred
from layerdiff.compare.transfer_words import transfer_doubts, transfer_notes
from layerdiff.compare.two_at_once import two_at_once
from layerdiff.compare.verdict import settle

__all__ = ["in_eval_mode", "judge_foreign", "propose_transfer", "tensors_of"]


def judge_foreign(
    expected: Trace,
    network: Any,
    x: Array,
    *,
    weights: Mapping[str, Array] | None,
    transfer: Transfer | None = None,
    name: str | None = None,
    dtypes: Sequence[Dtype] = DTYPES,
    seed: int = 0,
    until: str | None = None,
    on_layer: Callable[[str], None] | None = None,
    diagnose: bool = True,
    on_step: Callable[[str], None] | None = None,
) -> Report:
    """Whether `network` is the expected one, whatever its layers are called; and if not, why.

    It is run once to see what it does, given the expected network's weights by `transfer.propose`, run again and
    judged. It is in eval mode meanwhile; its weights, mode, buffers and gradients are afterwards as they were.

    Args:
        expected: the reference, captured on `x`.
        network: a `torch.nn.Module`, or a NumPy network (see `capture_numpy`).
        x: (n, c, h, w) float32.
        weights: the expected network's tensors by name; None leaves the candidate's own where they are.
        transfer: what goes where, if that is known already.
        name: what the candidate is, in words.
        dtypes: precisions to judge in.
        seed: of the dense probe and the end-to-end floor.
        until: judge only this part of the expected network.
        on_layer: called with each layer's id before it is measured.
        diagnose: look for the causes of what is different.
        on_step: called with what the diagnosis is doing, in words.

    Raises:
        InputError: see `capture` and `judge`; or `transfer` does not fit the networks.
    """
    judging = _Judging(expected, x, name, tuple(dtypes), seed, until, on_layer, diagnose, on_step)
    with in_eval_mode(network):
        if weights is None:
            return judging.judged(network)
        if transfer is None:
            transfer = propose_transfer(expected, network, x, weights)
        with transferred(transfer, weights, tensors_of(network)):
            report = judging.judged(network)
    # What lies behind a crash was not reached: nothing is known of it.
    reached = {layer.layer for layer in report.layers if layer.partner is not None} if report.crash else None
    if reached is not None:
        transfer = replace(transfer, unused=())
    parts = {op.layer for op in upto(expected.ops, until or expected.until)}
    parts = parts if reached is None else parts & reached
    needed = frozenset(key for op in expected.ops if op.layer in parts for key in op.keys.values())
    report = replace(
        report,
        notes=(*report.notes, *transfer_notes(transfer, needed)),
        doubts=(*report.doubts, *transfer_doubts(transfer, needed)),
    )
    return settle(report)


def propose_transfer(expected: Trace, network: Any, x: Array, weights: Mapping[str, Array]) -> Transfer:
    """Where each of the expected network's tensors goes in `network`, found by running it once.

    Args:
        expected: captured on `x`.
        network: in eval mode.
        x: (n, c, h, w) float32.
        weights: the expected network's tensors, by name.
    """
    tensors = tensors_of(network)
    with _told_apart(tensors):
        trace, _ = capture_to_the_end(network, x)
        alignment = align(
            expected.ops, trace.ops, expected_output=expected.returned_by, actual_output=trace.returned_by
        )
        transfer = propose(weights, tensors, alignment, trace.used)
        return with_layouts_tried(transfer, weights, tensors, alignment, x.shape)


def tensors_of(network: Any) -> dict[str, Array]:
    """The network's own floating-point tensors by their names in its state dict: its memory, not copies of it."""
    state = network.state_dict()
    # A module may put something else than tensors into its state dict.
    tensors = {key: value for key, value in state.items() if hasattr(value, "dtype")}
    arrays = {key: value if isinstance(value, np.ndarray) else value.detach().numpy() for key, value in tensors.items()}
    return {key: array for key, array in arrays.items() if array.dtype.kind == "f"}


@contextlib.contextmanager
def in_eval_mode(network: Any) -> Iterator[None]:
    """Every module of a torch network is in eval mode meanwhile, and in its own afterwards."""
    modules = list(network.modules()) if hasattr(network, "modules") else []
    training = [module.training for module in modules]
    # Not `eval()`: a candidate's `train` may be a training loop.
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, mode in zip(modules, training, strict=True):
            module.training = mode


@contextlib.contextmanager
def _told_apart(tensors: Mapping[str, Array]) -> Iterator[None]:
    """No kernel or matrix is all one number meanwhile: how it lies is read off its values."""
    blank = {name: array for name, array in tensors.items() if array.ndim > 1 and array.size and _is_constant(array)}
    own = {name: array.copy() for name, array in blank.items()}
    generator = np.random.default_rng(0)
    try:
        for array in blank.values():
            array[...] = generator.standard_normal(array.shape, dtype=np.float32) * 0.05
        yield
    finally:
        for name, values in own.items():
            tensors[name][...] = values


def _is_constant(array: Array) -> bool:
    return bool(array.flat[0] == array.flat[-1] and array.min() == array.max())


@dataclass(frozen=True)
class _Judging:
    """What stays the same however often a network is judged; see `judge_foreign`."""

    expected: Trace
    x: Array
    name: str | None
    dtypes: tuple[Dtype, ...]
    seed: int
    until: str | None
    on_layer: Callable[[str], None] | None
    diagnose: bool
    on_step: Callable[[str], None] | None

    def judged(self, network: Any) -> Report:
        """The report on a network as it is."""
        expected, x = self.expected, self.x
        trace, crash = capture_to_the_end(network, x, name=self.name)
        report = judge(
            expected,
            trace,
            x,
            dtypes=self.dtypes,
            seed=self.seed,
            until=self.until,
            on_layer=self.on_layer,
            crash=None if crash is None else describe_crash(crash),
        )
        if report.verdict == "same" and x.shape[0] == 1 and trace.until is None and self.until is None:
            problem, note = two_at_once(expected, network, x, seed=self.seed)
            return settle(replace(report, output=problem, notes=(*report.notes, *([note] if note else []))))
        if crash is not None:
            explanation = explain_crash_finding(_structure(expected, x), structure_of(network, x.shape))
            report = replace(report, explanation=explanation)
        if not self.diagnose or report.verdict != "different":
            return report
        # Hypotheses are modelled in torch; a NumPy network that is right is judged without it.
        from layerdiff.compare.diagnosis.diagnose import diagnosed

        return diagnosed(
            report,
            expected,
            trace,
            x,
            seed=self.seed,
            unused=frozenset(tensors_of(network)) - trace.used,
            dtypes=self.dtypes,
            tell=self.on_step,
        )


def _structure(trace: Trace, x: Array) -> Structure:
    """What is known of a captured network's structure."""
    tensors = {key: op.parameters[role].shape for op in trace.ops for role, key in op.keys.items()}
    return Structure(
        network=trace.network,
        shape=x.shape,
        ops=trace.ops,
        returned_by=trace.returned_by,
        returned_as=trace.returned_as,
        crash=None,
        tensors=tensors,
        parameters=frozenset(key for key in tensors if not key.endswith(("running_mean", "running_var"))),
        used=frozenset(tensors),
    )


def describe_crash(crash: Crash) -> str:
    """A crash in a sentence."""
    where = f" in {crash.layer}" if crash.layer else ""
    line = f" ({crash.source})" if crash.source else ""
    return f"its forward pass raised {crash.error}{where}{line}: {crash.message}"
