"""The main job, from Python: networks named or handed over, judged against the expected one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerdiff.by_plan import BY_PLAN
from layerdiff.candidates import Candidate, load_candidate
from layerdiff.environment import describe_environment
from layerdiff.errors import InputError
from layerdiff.judgement import Judgement
from layerdiff.preprocessing import judge_preparation, load_preparation, with_input
from layerdiff.references import Asked, Reference, referred
from layerdiff.training import OPTIMIZER, asked_training, check_training, load_step
from layerdiff.weight_maps import read_mapping, refuse_mapping, weights_source

if TYPE_CHECKING:
    from layerdiff.compare.gathered import Keep
    from layerdiff.compare.judge import Dtype
    from layerdiff.compare.modes import Backward, Mode
    from layerdiff.compare.result import Run
    from layerdiff.compare.steps.mover import Training
    from layerdiff.handwritten.numpy_ops import Grade

__all__ = ["run"]


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
    source, keep = weights_source(weights)
    transfer = read_mapping(mapping)
    meant = expected.partition(":")[2] if isinstance(expected, str) and expected.startswith("torchvision:") else ""
    preparation = None if preprocess is None else load_preparation(preprocess)
    candidates = [load_candidate(one, architecture=meant or "resnet50") for one in (actual or ("torch", "numpy"))]
    if transfer is not None:
        refuse_mapping(keep, candidates)
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

        def tell(name: str, layer: str) -> None:
            if on_layer is not None:
                on_layer(name, layer, judged)

        judgement = Judgement(
            reference, tuple(dtypes), until, seed, grade, keep, transfer, diagnose, tell, on_step or _silent,
            held_against, training, keep_evidence, memory,
        )  # fmt: skip
        with one_blas_thread():
            reports = judgement.reports(candidates, environment)
        if own_input is not None:
            reports = [with_input(report, own_input) for report in reports]
    said = (*preparation.notes, *own_input.notes) if preparation and own_input else ()
    notes = (*reference.notes, *reference.watched.notes, *said, *(note for one in candidates for note in one.notes))
    return Run(environment=environment, reports=tuple(reports), notes=tuple(dict.fromkeys(notes)))


def _silent(name: str, what: str) -> None:
    """Say nothing of what the diagnosis is doing."""


def _facts(candidates: Sequence[Candidate]) -> dict[str, str]:
    several = sum(bool(one.facts) for one in candidates) > 1
    return {f"{key} {one.name}" if several else key: value for one in candidates for key, value in one.facts}


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
