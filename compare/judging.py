"""One network judged against a reference: captured, compared layer by layer, and where it differs, asked why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from layerdiff.compare.capture import capture, capture_to_the_end
from layerdiff.compare.comparison import Comparison
from layerdiff.compare.crash import Crash
from layerdiff.compare.gathered import Keep, with_evidence
from layerdiff.compare.judge import Dtype, judge_in_step
from layerdiff.compare.memory import Memory
from layerdiff.compare.modes import Backward
from layerdiff.compare.one_thread import one_blas_thread
from layerdiff.compare.result import Report
from layerdiff.compare.shape_errors import explain_crash_finding
from layerdiff.compare.steps.mover import Training
from layerdiff.compare.structure import Structure, structure_of
from layerdiff.compare.trace import Array, Trace
from layerdiff.compare.transfer import Carried
from layerdiff.compare.two_at_once import two_at_once
from layerdiff.compare.verdict import settle
from layerdiff.errors import InputError

__all__ = ["Judging", "judged_in_step", "tensors_of", "with_causes"]


@dataclass(frozen=True)
class Judging:
    """What stays the same however often a network is judged.

    Attributes:
        expected: the reference, captured on `x`.
        x: (n, c, h, w) float32.
        name: what the candidate is, in words.
        dtypes: precisions to judge in.
        seed: of the dense probe and the end-to-end floor.
        until: judge only this part of the expected network.
        on_layer: called with each layer's id before it is measured.
        diagnose: look for the causes of what is different.
        on_step: called with what the diagnosis is doing, in words.
        batches: where one image was judged, and all is same, look at two at once as well.
        backward: what its gradients are held against; None where they are not asked for.
        training: what some steps of training are held against; None where they are not asked for.
        keep_evidence: of which layers is kept what they look like: `failed`, `all` or `none`.
        memory: of what the reference gave for `x` when other networks were judged; None to remember nothing.
    """

    expected: Trace = field(repr=False)
    x: Array = field(repr=False)
    name: str | None
    dtypes: tuple[Dtype, ...]
    seed: int
    until: str | None
    on_layer: Callable[[str], None] | None
    diagnose: bool
    on_step: Callable[[str], None] | None
    batches: bool = True
    backward: Backward | None = None
    training: Training | None = None
    keep_evidence: Keep = "failed"
    memory: Memory | None = field(default=None, repr=False)

    def judged(self, network: Any, carried: Sequence[Carried] = ()) -> Report:
        """The report on a network as it is, in the mode it is in and with the weights it has.

        Args:
            network: the candidate.
            carried: where the expected network's tensors are in it, for their gradients.

        Raises:
            InputError: see `capture` and `judge`; or it raises only while it is watched.
        """
        return judged_in_step([(self, network, carried)])[0]

    def compared(self, network: Any) -> Captured:
        """A network that is seen, and about to be compared.

        Raises:
            InputError: see `capture` and `judge`.
        """
        trace, crash = self._captured(network)
        comparison = Comparison(
            self.expected,
            trace,
            self.x,
            dtypes=self.dtypes,
            seed=self.seed,
            until=self.until,
            on_layer=self.on_layer,
            crash=None if crash is None else _in_words(crash),
            memory=self.memory,
        )
        return Captured(trace, crash, comparison)

    def there_and_back(self, report: Report, network: Any, carried: Sequence[Carried]) -> Report:
        """The report with what was asked for beyond the forward pass."""
        # Only here: gradients need torch, and nobody else does.
        if self.backward is not None:
            from layerdiff.compare.gradients.attach import with_gradients

            report = with_gradients(
                report, self.backward, network, self.x, carried=carried, dtypes=self.dtypes, seed=self.seed,
                until=self.until, diagnose=self.diagnose, on_layer=self.on_layer,
            )  # fmt: skip
        if self.training is not None:
            from layerdiff.compare.steps.attach import with_steps

            report = with_steps(
                report, self.training, self.expected, network, self.x, carried=carried, seed=self.seed,
                diagnose=self.diagnose, on_step=self.on_step,
            )  # fmt: skip
        return report

    def there(self, report: Report, captured: Captured, network: Any) -> Report:
        """The report of the judge, with evidence and causes, and two images at once where one is the same."""
        trace, crash = captured.trace, captured.crash
        report = with_evidence(
            report, self.expected, trace, self.x, seed=self.seed, keep=self.keep_evidence, memory=self.memory
        )
        if self.batches and report.verdict == "same" and self._is_single(trace):
            problem, note = two_at_once(self.expected, network, self.x, seed=self.seed)
            return settle(replace(report, output=problem, notes=(*report.notes, *([note] if note else []))))
        if crash is not None and hasattr(network, "named_modules"):
            structures = _structure(self.expected, self.x), structure_of(network, self.x.shape)
            report = replace(report, explanation=explain_crash_finding(*structures))
        return self._diagnosed(report, trace, network)

    def _captured(self, network: Any) -> tuple[Trace, Crash | None]:
        if self.until is not None and not self.batches:
            try:
                return capture(network, self.x, name=self.name, until=self.until), None
            except InputError:
                raise
            except Exception:
                # What raised, and where, the capture that survives it says.
                pass
        trace, crash = capture_to_the_end(network, self.x, name=self.name)
        if crash is not None and _runs(network, self.x):
            raise InputError(
                f"capture: {type(network).__name__} runs, but not while it is watched, "
                f"got {crash.error}: {crash.message}"
            )
        return trace, crash

    def _is_single(self, trace: Trace) -> bool:
        return self.x.shape[0] == 1 and trace.until is None and self.until is None

    def _diagnosed(self, report: Report, trace: Trace, network: Any) -> Report:
        if not self.diagnose:
            return report
        unused = frozenset(tensors_of(network)) - trace.used
        return with_causes(
            report,
            self.expected,
            trace,
            self.x,
            seed=self.seed,
            unused=unused,
            dtypes=self.dtypes,
            on_step=self.on_step,
            memory=self.memory,
        )


@dataclass(frozen=True)
class Captured:
    """A network that was seen, and is compared.

    Attributes:
        trace: of its forward pass.
        crash: where that ended, if it raised.
        comparison: with the expected network.
    """

    trace: Trace = field(repr=False)
    crash: Crash | None
    comparison: Comparison = field(repr=False)


def judged_in_step(asked: Sequence[tuple[Judging, Any, Sequence[Carried]]]) -> list[Report]:
    """The reports of several networks, which are compared with the expected one layer by layer in turns.

    Args:
        asked: how each is judged, the network, and where the expected network's tensors are in it.

    Raises:
        InputError: see `Judging.judged`.
    """
    with one_blas_thread():
        reports = _there_in_step(asked)
    return [
        judging.there_and_back(report, network, carried)
        for report, (judging, network, carried) in zip(reports, asked, strict=True)
    ]


def _there_in_step(asked: Sequence[tuple[Judging, Any, Sequence[Carried]]]) -> list[Report]:
    captured = [judging.compared(network) for judging, network, _ in asked]
    reports = judge_in_step([one.comparison for one in captured])
    return [
        judging.there(report, one, network)
        for report, one, (judging, network, _) in zip(reports, captured, asked, strict=True)
    ]


def with_causes(
    report: Report,
    expected: Trace,
    actual: Trace,
    x: Array,
    *,
    seed: int,
    dtypes: Sequence[Dtype],
    unused: frozenset[str] = frozenset(),
    on_step: Callable[[str], None] | None = None,
    memory: Memory | None = None,
) -> Report:
    """The report with the causes of what is different; see `diagnosis.diagnose`.

    Args:
        report: of the judge.
        expected: the reference, captured on `x`.
        actual: the candidate, likewise.
        x: (n, c, h, w) float32.
        seed: as the judge had it.
        dtypes: precisions to judge the repaired candidate in.
        unused: names of the tensors that the candidate holds and never uses.
        on_step: called with what the diagnosis is doing, in words.
        memory: of what `expected` gave for `x`, as the judge had it; by default one is begun.
    """
    if report.verdict != "different":
        return report
    try:
        from layerdiff.compare.diagnosis.diagnose import diagnosed
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        # Hypotheses are modelled in torch; NumPy networks are judged without it all the same.
        return replace(report, notes=(*report.notes, "no causes were looked for: that needs torch"))
    memory = memory or Memory(expected, x, seed)
    return diagnosed(report, expected, actual, x, seed=seed, unused=unused, dtypes=dtypes, tell=on_step, memory=memory)


def tensors_of(network: Any) -> dict[str, Array]:
    """The network's own floating-point tensors by their names in its state dict: its memory, not copies of it.

    Raises:
        InputError: it holds tensors that NumPy has no type for; all of them are named.
    """
    state = network.state_dict()
    # A module may put something else than tensors into its state dict.
    tensors = {key: value for key, value in state.items() if hasattr(value, "dtype")}
    odd = [f"{key} ({value.dtype})" for key, value in tensors.items() if str(value.dtype) == "torch.bfloat16"]
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise InputError(
            f"weights: cannot be compared as they are, got {odd[0]}{more}, expected float32",
            help="call .float() on the network",
        )
    arrays = {key: value if isinstance(value, np.ndarray) else value.detach().numpy() for key, value in tensors.items()}
    return {key: array for key, array in arrays.items() if array.dtype.kind == "f"}


def _runs(network: Any, x: Array) -> bool:
    """Whether the network's forward pass goes through when nobody watches."""
    try:
        if hasattr(network, "named_modules"):
            import torch

            with torch.no_grad():
                network(torch.from_numpy(x.copy()))
        else:
            network(x.copy())
    except Exception:
        return False
    return True


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


def _in_words(crash: Crash) -> str:
    """A crash in a sentence."""
    where = f" in {crash.layer}" if crash.layer else ""
    line = f" ({crash.source})" if crash.source else ""
    return f"its forward pass raised {crash.error}{where}{line}: {crash.message}"
