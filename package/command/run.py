"""`layerdiff run`: the main job, one network or several against the expected one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerdiff.candidate.stages import heartbeat, is_supervised
from layerdiff.candidate.supervise import supervised
from layerdiff.command.options import candidate_options, image_options, preprocess_option, report_options, use_threads
from layerdiff.command.output import check_writable, deliver, progress
from layerdiff.command.supervision import runs_foreign_code
from layerdiff.preprocessing import is_code
from layerdiff.training import OPTIMIZER

if TYPE_CHECKING:
    from layerdiff.compare.gathered import Keep
    from layerdiff.compare.modes import Mode
    from layerdiff.handwritten.numpy_ops import Grade

__all__ = ["command"]


@click.command(name="run")
@candidate_options
@click.option(
    "--actual",
    "candidates",
    multiple=True,
    metavar="SPEC",
    default=("torch", "numpy"),
    help="What is judged: torch, numpy, kept or fused (our own networks), FILE.py:CALL, module:CALL, FILE.onnx, or a "
    "saved trace; may be repeated. Default: both of our own.",
)
@click.option("--map", "mapping", type=click.Path(path_type=Path), help="A file made by `layerdiff weights map`.")
@preprocess_option
@image_options
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(["float32", "float64"]),
    default=("float32", "float64"),
    help="Precision to judge in; may be repeated. Default: both.",
)
@click.option("--until", help="Judge only up to this layer or part, such as layer2 or layer3.0.add.")
@click.option(
    "--grade",
    type=click.Choice(["gemm", "taps", "im2col", "loops"]),
    default="gemm",
    show_default=True,
    help="How our NumPy network convolves; loops takes hours at full size.",
)
@click.option(
    "--backward",
    is_flag=False,
    flag_value="train",
    type=click.Choice(["train", "eval"]),
    help="Compare the gradients of every layer as well, batch norms in training mode or, with `eval`, in eval mode.",
)
@click.option(
    "--steps",
    type=click.IntRange(0, 1000),
    default=0,
    metavar="N",
    help="Compare N steps of training as well: what each makes of every tensor, from the expected state.",
)
@click.option(
    "--optimizer",
    metavar="SPEC",
    default=OPTIMIZER,
    show_default=True,
    help="By which both are trained, such as adam:lr=1e-3,betas=0.9/0.999; names are torch.optim's.",
)
@click.option(
    "--step",
    metavar="SPEC",
    help="FILE.py:FUNCTION, a training step of your own, called with network, images and labels.",
)
@click.option("--no-diagnosis", is_flag=True, help="Say where it differs, without asking why.")
@click.option(
    "--evidence",
    "keep_evidence",
    type=click.Choice(["failed", "all", "none"]),
    default="failed",
    show_default=True,
    help="Of which layers the run holds what their error looks like: of the first ten at fault, of all, or of none.",
)
@report_options
def command(
    expected: str | None,
    candidates: Sequence[str],
    weights: str,
    mapping: Path | None,
    preprocess: str | None,
    images: Sequence[Path],
    size: tuple[int, int] | None,
    batch: int | None,
    dtypes: Sequence[str],
    until: str | None,
    grade: Grade,
    backward: Mode | None,
    steps: int,
    optimizer: str,
    step: str | None,
    no_diagnosis: bool,
    keep_evidence: Keep,
    threads: int | None,
    seed: int,
    timeout: float,
    form: str,
    stat: bool,
    output: Path | None,
    every_layer: bool,
    ascii_only: bool,
) -> int:
    """Judge networks against torchvision's, or against each other, layer by layer.

    With no options: both networks that come with layerdiff, ResNet-50, a photo of a cat, float32 and float64.

    A candidate's file is code, and it runs with your rights.
    """
    check_writable(output)
    specs = tuple(dict.fromkeys(candidates))
    foreign = runs_foreign_code(specs, expected) or is_code(preprocess) or step is not None
    if foreign and not is_supervised():
        return supervised(sys.argv[1:], timeout)
    from layerdiff.command.repeat import with_command
    from layerdiff.running import run

    use_threads(threads)
    with progress() as (advance, say_step):

        def on_layer(candidate: str, layer: str, layers: int) -> None:
            heartbeat(layer)
            advance(candidate, layer, layers * len(specs))

        def on_step(candidate: str, what: str) -> None:
            heartbeat(what)
            say_step(candidate, what)

        judged = run(
            *specs,
            expected=expected,
            weights=weights,
            images=images,
            size=size,
            batch=batch,
            dtypes=tuple(dict.fromkeys(dtypes)),  # type: ignore[arg-type]
            until=until,
            seed=seed,
            grade=grade,
            mapping=mapping,
            preprocess=preprocess,
            diagnose=not no_diagnosis,
            keep_evidence=keep_evidence,
            backward=backward,
            steps=steps,
            optimizer=optimizer,
            step=step,
            on_layer=on_layer,
            on_step=on_step,
        )
    judged = with_command(judged, sys.argv[1:])
    return deliver(judged, form=form, output=output, every_layer=every_layer, ascii_only=ascii_only, stat=stat)
