"""`layerdiff run`: the main job, both handwritten networks against torchvision's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerdiff.command.networks import capture_expected, handwritten_network, load_subject
from layerdiff.command.options import image_options, network_options, report_options, use_threads
from layerdiff.command.output import check_writable, deliver, progress

if TYPE_CHECKING:
    from layerdiff.handwritten.numpy_ops import Grade

__all__ = ["command"]


@click.command(name="run")
@network_options
@click.option(
    "--actual",
    "candidates",
    multiple=True,
    type=click.Choice(["torch", "numpy"]),
    default=("torch", "numpy"),
    help="Which handwritten network; may be repeated. Default: both.",
)
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
    type=click.Choice(["gemm", "im2col", "loops"]),
    default="gemm",
    show_default=True,
    help="How the NumPy network convolves; loops takes hours at full size.",
)
@report_options
def command(
    expected: str,
    candidates: Sequence[str],
    weights: str,
    images: Sequence[Path],
    size: tuple[int, int] | None,
    batch: int | None,
    dtypes: Sequence[str],
    until: str | None,
    grade: Grade,
    threads: int | None,
    seed: int,
    form: str,
    output: Path | None,
    every_layer: bool,
    ascii_only: bool,
) -> int:
    """Judge the handwritten networks against torchvision's, layer by layer.

    With no options: ResNet-50, both networks, a photo of a cat, float32 and float64.
    """
    from layerdiff.command.environment import describe_environment, in_short, subject_facts
    from layerdiff.compare.check import compare_with
    from layerdiff.compare.result import Run
    from layerdiff.compare.trace import upto

    check_writable(output)
    use_threads(threads)
    subject = load_subject(expected, weights, images, size, batch)
    trace = capture_expected(subject, until=until)
    precisions = tuple(dict.fromkeys(dtypes))
    environment = {
        **describe_environment(),
        **subject_facts(subject),
        "dtypes": ", ".join(precisions),
        "seed": str(seed),
    }
    reports = []
    candidates = tuple(dict.fromkeys(candidates))
    with progress(len(candidates) * len(upto(trace.ops, until))) as advance:
        for kind in candidates:
            network, name = handwritten_network(kind, subject, grade=grade)
            reports.append(
                compare_with(
                    trace,
                    network,
                    subject.x,
                    name=f"{name}, {' and '.join(precisions)}, {in_short(environment, kind)}",
                    dtypes=precisions,  # type: ignore[arg-type]
                    seed=seed,
                    until=until,
                    on_layer=lambda layer, kind=kind: advance(kind, layer),  # type: ignore[misc]
                )
            )
            # One network's weights at a time.
            del network
    run = Run(environment=environment, reports=tuple(reports), notes=subject.notes)
    return deliver(run, form=form, output=output, every_layer=every_layer, ascii_only=ascii_only)
