"""One candidate's report in a run: whatever it is, by the settings that all candidates of the run share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerdiff.by_plan import BY_PLAN, ByPlan, judge_by_plan
from layerdiff.candidates import Candidate
from layerdiff.environment import in_short
from layerdiff.references import Reference
from layerdiff.subject import handwritten_network

if TYPE_CHECKING:
    from layerdiff.compare.gathered import Keep
    from layerdiff.compare.judge import Dtype
    from layerdiff.compare.judging import Judging
    from layerdiff.compare.memory import Memory
    from layerdiff.compare.modes import Backward
    from layerdiff.compare.result import Report
    from layerdiff.compare.steps.mover import Training
    from layerdiff.compare.transfer import Transfer
    from layerdiff.handwritten.numpy_ops import Grade

__all__ = ["Judgement"]


@dataclass(frozen=True)
class Judgement:
    """What is asked of every candidate of a run.

    Attributes:
        reference: the expected network.
        dtypes: precisions to judge in.
        until: judge only this part of the expected network.
        seed: of the dense probe and the end-to-end floor.
        grade: how our NumPy network convolves.
        keep: whether a candidate keeps its own weights.
        transfer: where each tensor goes in a network's code, if that is given.
        diagnose: look for the causes of what is different.
        on_layer: called with the candidate's name and the layer's id before each layer.
        on_step: called with the candidate's name and what the diagnosis is doing, in words.
        backward: what gradients are held against; None where they are not asked for.
        training: what some steps of training are held against; None where they are not asked for.
        keep_evidence: of which layers is kept what their error looks like.
        memory: of what the reference gave when other candidates were judged; None to remember nothing.
    """

    reference: Reference
    dtypes: tuple[Dtype, ...]
    until: str | None
    seed: int
    grade: Grade
    keep: bool
    transfer: Transfer | None
    diagnose: bool
    on_layer: Callable[[str, str], None]
    on_step: Callable[[str, str], None]
    backward: Backward | None = None
    training: Training | None = None
    keep_evidence: Keep = "failed"
    memory: Memory | None = None

    def reports(self, candidates: Sequence[Candidate], environment: Mapping[str, str]) -> list[Report]:
        """The report of each candidate; our own networks are judged in step, since their code disturbs nobody."""
        from layerdiff.compare.judging import judged_in_step

        own = [one for one in candidates if one.kind == "own" and self._plan(one) is None]
        reports = judged_in_step([self._own(one, environment) for one in own])
        found = {id(one): report for one, report in zip(own, reports, strict=True)}
        return [found[id(one)] if id(one) in found else self._report(one, environment) for one in candidates]

    def _report(self, one: Candidate, environment: Mapping[str, str]) -> Report:
        plan = self._plan(one)
        if plan is not None:
            return self._by_plan(plan, one, environment)
        if one.kind == "trace":
            return self._trace(one)
        if one.kind == "onnx":
            return self._onnx(one)
        return self._network(one)

    def _plan(self, one: Candidate) -> ByPlan | None:
        target = one.spec.target if one.kind == "own" and one.spec else ""
        return next((name for name in BY_PLAN if name == target), None)

    def _own(self, one: Candidate, environment: Mapping[str, str]) -> tuple[Judging, Any, tuple[()]]:
        from layerdiff.compare.judging import Judging

        kind = one.spec.target if one.spec else ""
        network, name = handwritten_network(kind, self.reference.subject, grade=self.grade)
        judging = Judging(
            self.reference.trace,
            self.reference.subject.x,
            f"{name}, {' and '.join(self.dtypes)}, {in_short(dict(environment), kind)}",
            self.dtypes,
            self.seed,
            self.until,
            partial(self.on_layer, one.name),
            self.diagnose,
            partial(self.on_step, one.name),
            batches=False,
            backward=self.backward,
            training=self.training,
            keep_evidence=self.keep_evidence,
            memory=self.memory,
        )
        return judging, network, ()

    def _by_plan(self, kind: ByPlan, one: Candidate, environment: Mapping[str, str]) -> Report:
        from layerdiff.handwritten.fused import usable_cpus

        subject, both = self.reference.subject, " and ".join(self.dtypes)
        # It brings threads of its own; the BLAS has one.
        machine = {**environment, "blas_threads": str(usable_cpus())}
        name = f"{kind} NumPy {subject.architecture}, {both}, {in_short(machine, 'numpy')}"
        return judge_by_plan(
            kind, self.reference.trace, subject, name=name, dtypes=self.dtypes, seed=self.seed, until=self.until,
            on_layer=partial(self.on_layer, one.name), keep_evidence=self.keep_evidence,
        )  # fmt: skip

    def _network(self, one: Candidate) -> Report:
        from layerdiff.compare.foreign import judge_foreign

        network = one.network
        if one.kind == "torchvision":
            from layerdiff.reference import torchvision_model

            network = torchvision_model(one.spec.target if one.spec else "")
        with one.at_work("judgement") as watched:
            report = judge_foreign(
                self.reference.trace,
                network,
                self.reference.subject.x,
                weights=None if self.keep else self.reference.weights,
                transfer=self.transfer,
                name=f"{one.name}, {' and '.join(self.dtypes)}",
                dtypes=self.dtypes,
                seed=self.seed,
                until=self.until,
                on_layer=partial(self.on_layer, one.name),
                diagnose=self.diagnose,
                on_step=partial(self.on_step, one.name),
                backward=self.backward,
                training=self.training,
                keep_evidence=self.keep_evidence,
                memory=self.memory,
            )
        return replace(report, notes=(*report.notes, *watched.notes))

    def _trace(self, one: Candidate) -> Report:
        from layerdiff.compare.judge_trace import judge_trace
        from layerdiff.compare.trace_files import read_any_trace

        trace = read_any_trace(Path(one.file or ""))
        return judge_trace(
            self.reference.trace,
            trace,
            self.reference.subject.x,
            seed=self.seed,
            until=self.until,
            on_layer=partial(self.on_layer, one.name),
            keep_evidence=self.keep_evidence,
        )

    def _onnx(self, one: Candidate) -> Report:
        from layerdiff.compare.capture_onnx import capture_onnx
        from layerdiff.compare.gathered import with_evidence
        from layerdiff.compare.judge import judge
        from layerdiff.compare.judging import with_causes

        x = self.reference.subject.x
        trace = capture_onnx(Path(one.file or ""), x)
        report = judge(
            self.reference.trace,
            trace,
            x,
            dtypes=self.dtypes,
            seed=self.seed,
            until=self.until,
            on_layer=partial(self.on_layer, one.name),
            memory=self.memory,
        )
        report = with_evidence(
            report, self.reference.trace, trace, x, seed=self.seed, keep=self.keep_evidence, memory=self.memory
        )
        if not self.diagnose:
            return report
        return with_causes(
            report,
            self.reference.trace,
            trace,
            x,
            seed=self.seed,
            dtypes=self.dtypes,
            on_step=partial(self.on_step, one.name),
            memory=self.memory,
        )
