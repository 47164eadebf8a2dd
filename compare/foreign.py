"""A network of somebody else's, with names of its own: captured, given the expected network's weights, and judged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from layerdiff.compare.align import align
from layerdiff.compare.capture import capture_to_the_end
from layerdiff.compare.gathered import Keep
from layerdiff.compare.judge import DTYPES, Dtype
from layerdiff.compare.judging import Judging, tensors_of
from layerdiff.compare.layout_trials import with_layouts_tried
from layerdiff.compare.memory import Memory
from layerdiff.compare.modes import Backward
from layerdiff.compare.result import Report
from layerdiff.compare.steps.mover import Training
from layerdiff.compare.trace import Array, Trace, upto
from layerdiff.compare.transfer import Transfer, propose, transferred
from layerdiff.compare.transfer_words import transfer_doubts, transfer_notes
from layerdiff.compare.verdict import settle

__all__ = ["in_eval_mode", "judge_foreign", "propose_transfer"]


def judge_foreign(  # noqa: PLR0913 - one for each option of a run
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
    backward: Backward | None = None,
    training: Training | None = None,
    keep_evidence: Keep = "failed",
    memory: Memory | None = None,
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
        backward: what its gradients are held against; None where they are not asked for.
        training: what some steps of training are held against; None where they are not asked for.
        keep_evidence: of which layers is kept what their error looks like.
        memory: of what `expected` gave for `x` when other networks were judged; None to remember nothing.

    Raises:
        InputError: see `capture` and `judge`; or `transfer` does not fit the networks.
    """
    judging = Judging(
        expected, x, name, tuple(dtypes), seed, until, on_layer, diagnose, on_step, backward=backward,
        training=training, keep_evidence=keep_evidence, memory=memory,
    )  # fmt: skip
    with in_eval_mode(network):
        if weights is None:
            return judging.judged(network)
        if transfer is None:
            transfer = propose_transfer(expected, network, x, weights)
        with transferred(transfer, weights, tensors_of(network)):
            report = judging.judged(network, transfer.carried)
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
