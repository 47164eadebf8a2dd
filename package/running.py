"""The main job, from Python: networks named or handed over, judged against the expected one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerdiff.candidates import Candidate, guess_architecture, load_candidate
from layerdiff.environment import describe_environment, in_short, subject_facts
from layerdiff.errors import InputError
from layerdiff.subject import Subject, capture_expected, handwritten_network, load_subject

if TYPE_CHECKING:
    from layerdiff.compare.judge import Dtype
    from layerdiff.compare.result import Report, Run
    from layerdiff.compare.trace import Array, Trace
    from layerdiff.compare.transfer import Transfer
    from layerdiff.handwritten.numpy_ops import Grade

__all__ = ["Reference", "find_transfer", "load_reference", "run"]

_KEEP = "keep"
_SIZE = (224, 224)


@dataclass(frozen=True)
class Reference:
    """The expected side of a run: captured, with what it takes to give its weights to another.

    Attributes:
        trace: of its forward pass.
        weights: its tensors, by name.
        subject: pictures, their input, and the weights as they were asked for.
        notes: what must be said first.
    """

    trace: Trace
    weights: Mapping[str, Array]
    subject: Subject
    notes: tuple[str, ...]


def run(
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
    on_layer: Callable[[str, str, int], None] | None = None,
) -> Run:
    """Judge each network in `actual` against `expected`, layer by layer.

    Args:
        actual: `torch` or `numpy` (our own networks), `FILE.py:CALL`, `module:CALL`, `FILE.onnx`, a saved trace, or
            a network as an object; see docs/candidates.md.
        expected: `torchvision:NAME`, or another network named or handed over; by default the torchvision network that
            the first candidate is most like.
        weights: whose weights both sides get (see the README); `keep` leaves a candidate its own.
        images: photos; by default a cat.
        size: height and width to crop them to; 224x224 by default.
        batch: how many at once.
        dtypes: precisions to judge in.
        until: judge only this part of the expected network, by layer id or the start of one.
        seed: of the dense probe and the end-to-end floor.
        grade: how our NumPy network convolves.
        mapping: a file written by `layerdiff weights map`, which says where each tensor goes.
        on_layer: called before each layer with the candidate's name, the layer's id and the number of layers.

    Returns:
        One report for each candidate, and all that is needed to repeat the run.

    Raises:
        InputError: something that was given cannot be used, or cannot be judged.
    """
    from layerdiff.compare.result import Run
    from layerdiff.compare.trace import upto

    meant = expected.partition(":")[2] if isinstance(expected, str) and expected.startswith("torchvision:") else ""
    candidates = [load_candidate(one, architecture=meant or "resnet50") for one in (actual or ("torch", "numpy"))]
    reference = load_reference(expected, candidates, _given(weights), [Path(i) for i in images], size, batch, until)
    transfer = _read_mapping(mapping)
    environment = {
        **describe_environment(),
        **subject_facts(reference.subject),
        **dict(fact for one in candidates for fact in one.facts),
        "dtypes": ", ".join(dtypes),
        "seed": str(seed),
    }
    judged = len(upto(reference.trace.ops, until))
    reports = []
    for one in candidates:

        def tell(layer: str, one: Candidate = one) -> None:
            if on_layer is not None:
                on_layer(one.name, layer, judged)

        judge = _Judging(reference, tuple(dtypes), until, seed, grade, weights == _KEEP, transfer, tell)
        reports.append(judge.report(one, environment))
    notes = (*reference.notes, *(note for one in candidates for note in one.notes))
    return Run(environment=environment, reports=tuple(reports), notes=tuple(dict.fromkeys(notes)))


def find_transfer(
    actual: str | Any, expected: str | Any | None, weights: str = "auto", size: tuple[int, int] | None = None
) -> tuple[Transfer, tuple[str, ...]]:
    """Where each of the expected network's tensors goes in `actual`, and what the reader must know.

    Raises:
        InputError: `actual` is no network whose code can be run, or something else cannot be used.
    """
    from layerdiff.compare.foreign import in_eval_mode, propose_transfer

    candidate = load_candidate(actual)
    if candidate.kind != "network":
        raise InputError(
            f"actual: has no weights to map, got {actual!r}, expected a network's code",
            help="FILE.py:CALL or module:CALL",
        )
    reference = load_reference(expected, [candidate], weights, [], size, None, None)
    with candidate.at_work("forward pass"), in_eval_mode(candidate.network):
        found = propose_transfer(reference.trace, candidate.network, reference.subject.x, reference.weights)
    return found, (*reference.notes, *candidate.notes)


def _given(weights: str) -> str:
    # What the candidate keeps is its own; the expected network needs some all the same.
    return "auto" if weights == _KEEP else weights


def _read_mapping(mapping: str | Path | None) -> Transfer | None:
    if mapping is None:
        return None
    from layerdiff.compare.weights_map import read_map

    return read_map(Path(mapping))


def load_reference(
    expected: str | Any | None,
    candidates: Sequence[Candidate],
    weights: str,
    images: Sequence[Path],
    size: tuple[int, int] | None,
    batch: int | None,
    until: str | None,
) -> Reference:
    """The expected network with its weights, captured on the pictures.

    A network that is not torchvision's gets the weights of the torchvision network it is most like, if it takes all
    of them: a network fresh from its constructor hides bugs. Else it keeps its own.

    Raises:
        InputError: any of it cannot be had.
    """
    shape = (1, 3, *(size or _SIZE))
    if expected is None:
        architecture, note = guess_architecture(candidates, shape)
        subject = load_subject(f"torchvision:{architecture}", weights, images, size, batch)
        trace = capture_expected(subject, until=until)
        return Reference(trace, subject.weights.state, subject, (*([note] if note else []), *subject.notes))
    if isinstance(expected, str) and expected.startswith("torchvision:"):
        subject = load_subject(expected, weights, images, size, batch)
        trace = capture_expected(subject, until=until)
        return Reference(trace, subject.weights.state, subject, subject.notes)
    found = load_candidate(expected, option="expected")
    if found.kind != "network":
        raise InputError(
            f"expected: cannot be judged against, got {expected!r}, expected torchvision:NAME or a network's code",
            help="FILE.py:CALL or module:CALL name a network that can be run layer by layer",
        )
    return _foreign_reference(found, weights, images, size, batch, until, shape)


def _foreign_reference(
    found: Candidate,
    weights: str,
    images: Sequence[Path],
    size: tuple[int, int] | None,
    batch: int | None,
    until: str | None,
    shape: tuple[int, ...],
) -> Reference:
    from layerdiff.compare.capture import capture
    from layerdiff.compare.foreign import in_eval_mode, propose_transfer, tensors_of
    from layerdiff.compare.transfer import transferred

    try:
        architecture, _ = guess_architecture([found], shape)
    except InputError:
        architecture = "resnet50"
    subject = load_subject(f"torchvision:{architecture}", weights, images, size, batch)
    with found.at_work("forward pass"), in_eval_mode(found.network):
        trace = capture_expected(subject, until=None)
        transfer = propose_transfer(trace, found.network, subject.x, subject.weights.state)
        fits = not transfer.unplaced and not transfer.unfilled and not transfer.suspicions
        if not fits:
            note = f"expected: {found.name} keeps the weights it was built with"
            state = {key: array.copy() for key, array in tensors_of(found.network).items()}
            trace = capture(found.network, subject.x, name=f"{found.name}, its own weights", until=until)
            return Reference(trace, state, subject, (note, *found.notes))
        note = f"expected: {found.name} with the weights of {architecture}, {subject.weights.source}"
        # For good: the network is the reference of this run.
        keeper = transferred(transfer, subject.weights.state, tensors_of(found.network))
        keeper.__enter__()
        trace = capture(found.network, subject.x, name=f"{found.name}, weights {subject.weights.source}", until=until)
    state = {key: array.copy() for key, array in tensors_of(found.network).items()}
    return Reference(trace, state, subject, (note, *subject.notes, *found.notes))


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
    on_layer: Callable[[str], None]

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
        )

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
        )

    def _onnx(self, one: Candidate) -> Report:
        from layerdiff.compare.capture_onnx import capture_onnx
        from layerdiff.compare.judge import judge

        trace = capture_onnx(Path(one.file or ""), self.reference.subject.x)
        return judge(
            self.reference.trace,
            trace,
            self.reference.subject.x,
            dtypes=self.dtypes,
            seed=self.seed,
            until=self.until,
            on_layer=self.on_layer,
        )
