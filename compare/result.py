"""Results are data: frozen records, from which every report is made and which say all that the reports say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from layerdiff.compare.evidence.records import Evidence, Line, Operation, Parameter, Probe, Tried
from layerdiff.compare.finding import Finding
from layerdiff.compare.shape_errors.explanation import Explanation
from layerdiff.compare.shown import Shown

__all__ = [
    "NOT_REACHED",
    "SCHEMA",
    "Extra",
    "Gradient",
    "GradientLayer",
    "Gradients",
    "InputResult",
    "LayerResult",
    "Measure",
    "Probe",
    "Report",
    "Run",
    "Status",
    "StepTensor",
    "Steps",
    "Verdict",
    "exit_code",
]

SCHEMA = 1

NOT_REACHED = "not reached"
"""The reason of a layer that lies behind the operation that raised."""

Status = Literal["same", "fault", "inherited", "missing", "unjudged"]
Verdict = Literal["same", "different", "unknown"]


@dataclass(frozen=True)
class Measure:
    """One comparison of two arrays against an allowance.

    Attributes:
        probe: `propagated` (both networks end to end), `activations` (the candidate's layer on the expected
            network's input for it) or `dense` (both layers on a seeded input of both signs without zeros).
        dtype: what both computed in.
        size: how many elements were compared; never 0.
        over: how many of them lie further apart than allowed, or are finite on one side only.
        max_abs: the greatest |actual - expected|.
        ratio: the greatest quotient of error and allowance; None where nothing is allowed and something differs.
        index: of the element that is furthest beyond its allowance, or nearest to it.
        expected: its value there.
        actual: its value there.
        allowed: its allowance there; None where both arrays are the same to the bit, and none was computed.
        nonfinite_expected: how many elements are NaN or infinite; these have no error.
        nonfinite_actual: the same for the candidate.
    """

    probe: Probe
    dtype: str
    size: int
    over: int
    max_abs: float
    ratio: float | None
    index: tuple[int, ...]
    expected: float | None
    actual: float | None
    allowed: float | None
    nonfinite_expected: int = 0
    nonfinite_actual: int = 0


@dataclass(frozen=True)
class LayerResult:
    """What was found of one layer of the expected network.

    Attributes:
        index: its place in the order of execution, from 0.
        layer: its id in the expected network.
        partner: its id in the candidate; None where it has none there.
        kind: conv2d, batch_norm, ….
        shape: of its output in the expected network.
        inputs: ids of the layers it takes.
        measures: the comparisons made.
        problems: what is wrong before any value: wiring, kind, shape, dtype, a crash.
        differences: attributes and parameters that are not equal, as text; evidence, not a verdict.
        parameters_differ: whether one of its parameters is not bit for bit the expected one.
        source: `file:line` in the candidate's code.
        together: ids of the other layers that were judged with it as one; they have the same measures and status.
        written_as: what stands for them in the candidate, each as `id (kind)`, where that is not one operation of the
            same kind.
        behind: ids of the candidate's operations without a partner through which its inputs come.
        pairing: why the candidate's operations were taken for these.
        confidence: how sure that is: `certain`, `likely` or `weak`; empty where there is no partner.
        float32_only: why it could be judged by itself in float32 alone; empty where it was judged in all precisions.
        float32_before: id of the candidate's operation before it that cannot run in float64, so that it was compared
            end to end in float32 alone.
        lacking_alone: why it could not be judged by itself, where nothing could be run for it; else empty.
        lacking_end_to_end: the same for the comparison end to end.
        status: set by `verdict.settle`.
        reason: why, in one line; empty for `same`.
        notes: what is worth knowing and does not change the verdict.
        evidence: what its worst comparison looks like; kept for layers at fault, unless all or none were asked for.
        parameters: its parameters on both sides, where evidence is kept.
        attributes: name, expected and actual value of each of its settings, as text, where evidence is kept.
        code: the candidate's lines around `source`, where evidence is kept.
        parameter_count: numbers that are learnt in it, without those that a layer before it holds as well.
        multiply_adds: of convolutions and linear layers, bias not counted; see `costs`.
    """

    index: int
    layer: str
    partner: str | None
    kind: str
    shape: tuple[int, ...]
    inputs: tuple[str, ...]
    measures: tuple[Measure, ...] = ()
    problems: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    parameters_differ: bool = False
    source: str | None = None
    together: tuple[str, ...] = ()
    written_as: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    pairing: str = ""
    confidence: str = ""
    float32_only: str = ""
    float32_before: str = ""
    lacking_alone: str = ""
    lacking_end_to_end: str = ""
    status: Status = "unjudged"
    reason: str = ""
    notes: tuple[str, ...] = ()
    evidence: Evidence | None = field(default=None, repr=False)
    parameters: tuple[Parameter, ...] = field(default=(), repr=False)
    attributes: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    code: tuple[Line, ...] = field(default=(), repr=False)
    parameter_count: int = 0
    multiply_adds: int = 0


@dataclass(frozen=True)
class Extra:
    """An operation of the candidate that the expected network does not have."""

    layer: str
    kind: str
    source: str | None = None


@dataclass(frozen=True)
class InputResult:
    """What the candidate's own preprocessing gives, beside the expected network's input for the same pictures.

    The layers are judged on the expected input all the same, so that both are told apart.

    Attributes:
        source: what made it, such as `prepare.py:transform` or `input.npy`.
        shape: of what it gave, as (n, 3, h, w).
        expected: the shape that was expected.
        measure: the comparison; None where the shapes differ.
        notes: how it was read.
        status: `same` or `fault`, set by `verdict.settle`.
    """

    source: str
    shape: tuple[int, ...]
    expected: tuple[int, ...]
    measure: Measure | None
    notes: tuple[str, ...] = ()
    status: Status = "unjudged"


@dataclass(frozen=True)
class Gradient:
    """One gradient of a layer, compared.

    Attributes:
        of: what it is the gradient of: `input layer1.0.relu` for what the layer takes, a name in the expected network's
            state dict, or `output`, which the rest of the network sends back to it (end to end only).
        measure: the comparison; its probe says on what: `activations` (the expected network's own values, and the
            gradient that its own pass sends back), `dense` (values and gradient from a seed), or `propagated`.
    """

    of: str
    measure: Measure


@dataclass(frozen=True)
class GradientLayer:
    """What was found of the way back through one layer of the expected network.

    Attributes:
        index: its place in the order of execution, from 0.
        layer: its id in the expected network.
        partner: its id in the candidate; None where it has none there.
        kind: conv2d, batch_norm, ….
        gradients: the comparisons made.
        problems: what is wrong before any value: no gradient, one of another shape, a crash.
        lacking: why it could not be judged by itself; else empty.
        source: `file:line` in the candidate's code.
        notes: what is worth knowing and does not change the verdict.
        status: set by `verdict.settle`.
        reason: why, in one line; empty for `same`.
    """

    index: int
    layer: str
    partner: str | None
    kind: str
    gradients: tuple[Gradient, ...] = ()
    problems: tuple[str, ...] = ()
    lacking: str = ""
    source: str | None = None
    notes: tuple[str, ...] = ()
    status: Status = "unjudged"
    reason: str = ""


@dataclass(frozen=True)
class Gradients:
    """The way back through a candidate, beside the expected network's.

    Attributes:
        mode: `train` or `eval`: how batch norms normalised meanwhile; dropout was off in both.
        layers: one result for every layer through which a gradient flows, in the order of execution.
        dtypes: the precisions that were asked for.
        verdict: set by `verdict.settle`.
    """

    mode: str
    layers: tuple[GradientLayer, ...]
    dtypes: tuple[str, ...]
    verdict: Verdict = "unknown"


@dataclass(frozen=True)
class StepTensor:
    """What became of one tensor in each step of training.

    Attributes:
        name: in the expected network's state dict; for what an optimiser remembers, `NAME.BUFFER`.
        kind: `parameter`, `running` (an estimate of a batch norm) or `remembered`.
        measures: one for each step: what it became, each time from the expected state before the step.
        problems: what is wrong before any value.
        status: set by `verdict.settle`.
        reason: why, in one line; empty for `same`.
    """

    name: str
    kind: str
    measures: tuple[Measure, ...] = ()
    problems: tuple[str, ...] = ()
    status: Status = "unjudged"
    reason: str = ""


@dataclass(frozen=True)
class Steps:
    """Some steps of training, beside the expected network's.

    Attributes:
        optimizer: of the expected network, as text.
        count: how many steps.
        tensors: one result for every parameter and running estimate, and for all that the optimiser is known to
            remember.
        verdict: set by `verdict.settle`.
    """

    optimizer: str
    count: int
    tensors: tuple[StepTensor, ...]
    verdict: Verdict = "unknown"


@dataclass(frozen=True)
class Report(Shown):
    """One candidate against the expected network; shows itself as text, in rich, in a notebook, and by `show()`.

    Attributes:
        expected: what the reference is, in words.
        actual: what the candidate is, in words.
        layers: one result for every layer of the expected network that was to be judged.
        extra: operations of the candidate without a partner.
        dtypes: the precisions that were asked for; a layer is same only if it was compared in each of them.
        output: what is wrong with what the candidate itself returned, beside what its layers gave; empty for nothing.
        output_known: whether what it returned was compared; False where no recorded operation made it.
        tolerance: the bound in words, where it is not the allowances.
        crash: where and how the candidate's forward pass ended, if it raised.
        explanation: why it raised, as far as the shapes say.
        findings: the causes of what is different, as far as they were found; empty where none was looked for.
        repaired: what the candidate is with all confirmed causes undone; empty where that was not tried.
        tried: the hypotheses that were run on the way, those that explain something first, and what each left.
        evidence_left_out: of how many layers at fault no evidence is kept, since there are more than ten.
        operations: the candidate's graph, in the order it ran; the expected one is in `LayerResult.inputs`.
        input: what the candidate's own preprocessing gives; None where that was not asked.
        gradients: the way back through it; None where that was not asked.
        steps: what training makes of it; None where that was not asked.
        until: the part of the network that was judged; None for all of it.
        notes: what is worth knowing of the candidate as a whole, and does not change the verdict.
        blind: whether something happened in the candidate that could not be seen, and what it returned is right all the
            same: then nothing that was found can be relied on.
        doubts: what stands against the verdict `same`, though every layer may agree.
        replayed: whether each layer was also judged by itself; False where only recorded values were compared.
        probes: what each layer had to go through by itself; a recorded trace cannot go through the dense one.
        verdict: set by `verdict.settle`.
        scale: by what the allowances were multiplied; 1 as derived.
    """

    expected: str
    actual: str
    layers: tuple[LayerResult, ...]
    extra: tuple[Extra, ...] = ()
    dtypes: tuple[str, ...] = ()
    output: str = ""
    output_known: bool = True
    tolerance: str | None = None
    crash: str | None = None
    explanation: Explanation | None = None
    findings: tuple[Finding, ...] = ()
    repaired: str = ""
    input: InputResult | None = None
    gradients: Gradients | None = None
    steps: Steps | None = None
    until: str | None = None
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    blind: bool = False
    replayed: bool = True
    probes: tuple[Probe, ...] = ("activations", "dense")
    verdict: Verdict = "unknown"
    scale: float = 1.0
    tried: tuple[Tried, ...] = field(default=(), repr=False)
    operations: tuple[Operation, ...] = field(default=(), repr=False)
    evidence_left_out: int = 0

    def as_run(self) -> Run:
        """A run of this report alone."""
        return Run({}, (self,))


@dataclass(frozen=True)
class Run(Shown):
    """All reports of one call, and all that is needed to repeat it; shows itself as a `Report` does.

    Attributes:
        environment: versions, threads, machine, weights, image, seeds and hashes, as text.
        notes: what the reader must know first, such as that a download fell back to other weights.
        reports: one for each candidate.
        schema: version of this record's form.
    """

    environment: Mapping[str, str]
    reports: tuple[Report, ...]
    notes: tuple[str, ...] = ()
    schema: int = field(default=SCHEMA)

    def as_run(self) -> Run:
        """Itself."""
        return self

    @property
    def verdict(self) -> Verdict:
        """`different` if any report is, else `unknown` if any is, else `same`; `unknown` for none at all."""
        verdicts = {report.verdict for report in self.reports}
        if "different" in verdicts:
            return "different"
        return "same" if verdicts == {"same"} else "unknown"


def exit_code(verdict: Verdict) -> int:
    """The exit code of a verdict: 0 same, 1 different, 2 could not tell."""
    return {"same": 0, "different": 1, "unknown": 2}[verdict]
