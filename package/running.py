"""The main job, from Python: networks named or handed over, judged against the expected one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerdiff.by_plan import BY_PLAN, ByPlan, judge_by_plan
from layerdiff.candidates import Candidate, load_candidate
from layerdiff.environment import describe_environment, in_short
from layerdiff.errors import InputError
from layerdiff.preprocessing import judge_preparation, load_preparation, with_input
from layerdiff.references import Asked, Reference, referred
from layerdiff.subject import handwritten_network
from layerdiff.training import OPTIMIZER, asked_training, check_training, load_step

if TYPE_CHECKING:
    from layerdiff.compare.gathered import Keep
    from layerdiff.compare.judge import Dtype
    from layerdiff.compare.memory import Memory
    from layerdiff.compare.modes import Backward, Mode
    from layerdiff.compare.result import Report, Run
    from layerdiff.compare.steps.mover import Training
    from layerdiff.compare.transfer import Transfer
    from layerdiff.handwritten.numpy_ops import Grade

__all__ = ["find_transfer", "run"]

_KEEP = "keep"


def run(  # noqa: PLR0913 - one for each option of the command
    *actual: str | Any,
    expected: str | Any | None = None,
    weights: str = "auto",
    images: Sequence[str | Path] = (),
    size: tuple[int, int] | None = None,
    batch: int | None = None,
    dtypes: Sequence[Dtype] = ("float32", "float64"),
    until: str | None = None,
    seed: int = 0,
    grade: Grade = "gemm",
    mapping: str | Path | None = None,
    preprocess: Any | None = None,
    diagnose: bool = True,
    keep_evidence: Keep = "failed",
    backward: Mode | None = None,
    steps: int = 0,
    optimizer: str = OPTIMIZER,
    step: str | Callable[[Any, Any, Any], object] | None = None,
    on_layer: Callable[[str, str, int], None] | None = None,
    on_step: Callable[[str, str], None] | None = None,
) -> Run:
    """Judge each network in `actual` against `expected`, layer by layer.

    Args:
        actual: `torch`, `numpy`, `kept` or `fused` (our own networks), `FILE.py:CALL`, `module:CALL`, `FILE.onnx`, a
            saved trace, or a network as an object; see docs/candidates.md.
        expected: `torchvision:NAME`, or another network named or handed over; by default the torchvision network that
            the first candidate is most like.
        weights: whose weights both sides get (see the README); `keep` leaves a candidate its own, and an expected
            network that is not torchvision's too; `keep:FILE.pth` and the like say what torchvision's then gets.
        images: photos; by default a cat.
        size: height and width to crop them to; 224x224 by default.
        batch: how many at once.
        dtypes: precisions to judge in.
        until: judge only this part of the expected network, by layer id or the start of one.
        seed: of the dense probe and the end-to-end floor.
        grade: how our NumPy network convolves.
        mapping: a file written by `layerdiff weights map`, which says where each tensor goes.
        preprocess: the candidate's own preprocessing, to be held against the expected input: `FILE.py:FUNCTION`,
            `module:FUNCTION`, a saved input (.npy, .npz, .pt, .safetensors), a function, or an array; see
            docs/candidates.md.
        diagnose: look for the causes of what is different.
        keep_evidence: of which layers is kept what their error looks like: `failed` (the first ten at fault), `all` or
            `none`.
        backward: compare the gradients of every layer as well, with batch norms in `train` or `eval` mode.
        steps: compare so many steps of training as well, each from the expected state; 0 for none.
        optimizer: of the expected network, and of candidates: name and hyperparameters as torch.optim has them.
        step: a training step of somebody's own for candidates in torch, `FILE.py:FUNCTION` or a function: it moves a
            network on images and labels, once.
        on_layer: called before each layer with the candidate's name, the layer's id and the number of layers.
        on_step: called with the candidate's name and what the diagnosis is doing, in words.

    Returns:
        One report for each candidate, and all that is needed to repeat the run.

    Raises:
        InputError: something that was given cannot be used, or cannot be judged.
    """
    from layerdiff.compare.gathered import check_keep
    from layerdiff.compare.memory import Memory
    from layerdiff.compare.one_thread import one_blas_thread
    from layerdiff.compare.result import Run
    from layerdiff.compare.trace import upto

    check_keep(keep_evidence)
    source, keep = _source(weights)
    transfer = _read_mapping(mapping)
    meant = expected.partition(":")[2] if isinstance(expected, str) and expected.startswith("torchvision:") else ""
    preparation = None if preprocess is None else load_preparation(preprocess)
    candidates = [load_candidate(one, architecture=meant or "resnet50") for one in (actual or ("torch", "numpy"))]
    if transfer is not None:
        _refuse_mapping(keep, candidates)
    for asked_for, what in ((backward is not None, "backward"), (steps > 0, "steps")):
        if asked_for:
            _refuse_forward_only(candidates, what)
    own_step = _own_step(steps, optimizer, step, until)
    asked = Asked(source, keep, tuple(Path(image) for image in images), size, batch, until)
    # Before somebody's code is watched: what it imports changes settings too.
    with one_blas_thread():
        machine = describe_environment()
    with referred(expected, candidates, asked) as reference:
        environment = {
            **machine,
            **reference.facts,
            **_facts(candidates),
            "dtypes": ", ".join(dtypes),
            "seed": str(seed),
            **(dict(preparation.facts) if preparation else {}),
            **({"steps": str(steps), "optimizer": optimizer} if steps else {}),
        }
        own_input = judge_preparation(preparation, reference.subject, asked.images) if preparation else None
        judged = len(upto(reference.trace.ops, until)) * (1 if backward is None else 2)
        held_against = None if backward is None else _there_and_back(reference, backward)
        training = None if not steps else _training(reference, steps, optimizer, own_step)
        memory = Memory(reference.trace, reference.subject.x, seed) if len(candidates) > 1 else None
        reports = []
        for one in candidates:

            def tell(layer: str, one: Candidate = one) -> None:
                if on_layer is not None:
                    on_layer(one.name, layer, judged)

            def tell_step(what: str, one: Candidate = one) -> None:
                if on_step is not None:
                    on_step(one.name, what)

            judge = _Judging(
                reference, tuple(dtypes), until, seed, grade, keep, transfer, diagnose, tell, tell_step, held_against,
                training, keep_evidence, memory,
            )  # fmt: skip
            with one_blas_thread():
                report = judge.report(one, environment)
            reports.append(report if own_input is None else with_input(report, own_input))
    said = (*preparation.notes, *own_input.notes) if preparation and own_input else ()
    notes = (*reference.notes, *reference.watched.notes, *said, *(note for one in candidates for note in one.notes))
    return Run(environment=environment, reports=tuple(reports), notes=tuple(dict.fromkeys(notes)))


def find_transfer(
    actual: str | Any, expected: str | Any | None, weights: str = "auto", size: tuple[int, int] | None = None
) -> tuple[Transfer, tuple[str, ...]]:
    """Where each of the expected network's tensors goes in `actual`, and what the reader must know.

    Raises:
        InputError: `actual` is no network whose code can be run, or something else cannot be used.
    """
    from layerdiff.compare.foreign import in_eval_mode, propose_transfer

    source, keep = _source(weights)
    if keep:
        raise InputError(f"weights: got {weights}, which carries nothing over, expected weights to make a map for")
    candidate = load_candidate(actual)
    if candidate.kind != "network":
        raise InputError(
            f"actual: has no weights to map, got {actual!r}, expected a network's code",
            help="FILE.py:CALL or module:CALL",
        )
    with (
        referred(expected, [candidate], Asked(source, size=size)) as reference,
        candidate.at_work("forward pass") as watched,
        in_eval_mode(candidate.network),
    ):
        found = propose_transfer(reference.trace, candidate.network, reference.subject.x, reference.weights)
    return found, (*reference.notes, *reference.watched.notes, *candidate.notes, *watched.notes)


def _source(weights: str) -> tuple[str, bool]:
    """Whose weights the expected network gets, and whether a candidate keeps its own."""
    first, _, rest = weights.partition(":")
    return (rest or "auto", True) if first == _KEEP else (weights, False)


def _facts(candidates: Sequence[Candidate]) -> dict[str, str]:
    several = sum(bool(one.facts) for one in candidates) > 1
    return {f"{key} {one.name}" if several else key: value for one in candidates for key, value in one.facts}


def _read_mapping(mapping: str | Path | None) -> Transfer | None:
    if mapping is None:
        return None
    from layerdiff.compare.weights_map import read_map

    return read_map(Path(mapping))


def _refuse_mapping(keep: bool, candidates: Sequence[Candidate]) -> None:
    if keep:
        raise InputError("map: a candidate that keeps its weights needs none, got both --map and --weights keep")
    others = [one.name for one in candidates if one.kind not in {"network", "torchvision"}]
    if others:
        raise InputError(f"map: it is for a network's code, got {', '.join(others)}", help="judge them in another run")


def _refuse_forward_only(candidates: Sequence[Candidate], what: str) -> None:
    forward_only = [one for one in candidates if one.kind in {"trace", "onnx"} or one.name in BY_PLAN]
    others = [one.name for one in forward_only]
    if others:
        raise InputError(
            f"{what}: it is for networks that can be differentiated, got {', '.join(others)}",
            help="a saved trace, an ONNX file and our networks fused and kept know the way there alone",
        )


def _own_step(
    steps: int, optimizer: str, step: str | Callable[[Any, Any, Any], object] | None, until: str | None
) -> Callable[[Any, Any, Any], object] | None:
    """Somebody's own training step, once what was asked of training is known to be usable."""
    if step is not None and not steps:
        raise InputError("step: no steps are compared, got --step alone", help="--steps 3 compares three of them")
    if steps:
        check_training(steps, optimizer, until)
    return load_step(step) if isinstance(step, str) else step


def _training(
    reference: Reference, steps: int, optimizer: str, step: Callable[[Any, Any, Any], object] | None
) -> Training:
    """The training of the expected network."""
    assert reference.network is not None, "every reference that can be judged against can be had"
    return asked_training(steps, optimizer, reference.network, step)


def _there_and_back(reference: Reference, mode: Mode) -> Backward:
    """The expected network in the mode in which gradients are compared."""
    from layerdiff.compare.modes import Backward

    assert reference.again is not None, "every reference that can be judged against can be captured again"
    try:
        return Backward(mode, reference.again(mode))
    except InputError:
        raise
    except Exception as error:
        first = (str(error).splitlines() or ["no message"])[0]
        raise InputError(
            f"backward: the expected network raises in {mode} mode, got {type(error).__name__}: {first}",
            help="a batch norm in training needs more than one value a channel: larger pictures, or --batch 2",
        ) from error


@dataclass(frozen=True)
class _Judging:
    """One run's settings, the same for every candidate."""

    reference: Reference
    dtypes: tuple[Dtype, ...]
    until: str | None
    seed: int
    grade: Grade
    keep: bool
    transfer: Transfer | None
    diagnose: bool
    on_layer: Callable[[str], None]
    on_step: Callable[[str], None]
    backward: Backward | None = None
    training: Training | None = None
    keep_evidence: Keep = "failed"
    memory: Memory | None = None

    def report(self, one: Candidate, environment: Mapping[str, str]) -> Report:
        """The judgement of one candidate."""
        if one.kind == "own":
            return self._own(one, environment)
        if one.kind == "trace":
            return self._trace(one)
        if one.kind == "onnx":
            return self._onnx(one)
        return self._network(one)

    def _own(self, one: Candidate, environment: Mapping[str, str]) -> Report:
        from layerdiff.compare.check import compare_with

        kind = one.spec.target if one.spec else ""
        by_plan = next((name for name in BY_PLAN if name == kind), None)
        if by_plan is not None:
            return self._by_plan(by_plan, environment)
        network, name = handwritten_network(kind, self.reference.subject, grade=self.grade)
        return compare_with(
            self.reference.trace,
            network,
            self.reference.subject.x,
            name=f"{name}, {' and '.join(self.dtypes)}, {in_short(dict(environment), kind)}",
            dtypes=self.dtypes,
            seed=self.seed,
            until=self.until,
            on_layer=self.on_layer,
            diagnose=self.diagnose,
            on_step=self.on_step,
            backward=self.backward,
            training=self.training,
            keep_evidence=self.keep_evidence,
            memory=self.memory,
        )

    def _by_plan(self, kind: ByPlan, environment: Mapping[str, str]) -> Report:
        from layerdiff.handwritten.fused import usable_cpus

        subject, both = self.reference.subject, " and ".join(self.dtypes)
        # It brings threads of its own; the BLAS has one.
        machine = {**environment, "blas_threads": str(usable_cpus())}
        name = f"{kind} NumPy {subject.architecture}, {both}, {in_short(machine, 'numpy')}"
        return judge_by_plan(
            kind, self.reference.trace, subject, name=name, dtypes=self.dtypes, seed=self.seed, until=self.until,
            on_layer=self.on_layer, keep_evidence=self.keep_evidence,
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
                on_layer=self.on_layer,
                diagnose=self.diagnose,
                on_step=self.on_step,
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
            on_layer=self.on_layer,
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
            on_layer=self.on_layer,
            memory=self.memory,
        )
        report = with_evidence(
            report, self.reference.trace, trace, x, seed=self.seed, keep=self.keep_evidence, memory=self.memory
        )
        if not self.diagnose:
            return report
        return with_causes(
            report, self.reference.trace, trace, x, seed=self.seed, dtypes=self.dtypes, on_step=self.on_step,
            memory=self.memory,
        )  # fmt: skip
