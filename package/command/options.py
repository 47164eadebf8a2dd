"""Options that several subcommands share, written once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from layerdiff.candidate.supervise import DEFAULT_TIMEOUT

__all__ = [
    "REPORT_FORMS",
    "SIZE",
    "candidate_options",
    "image_options",
    "network_options",
    "preprocess_option",
    "report_options",
    "run_options",
    "timeout_option",
    "use_threads",
    "which_network",
]

REPORT_FORMS = ("full", "concise", "json", "markdown", "github", "junit", "html")
"""Of `compare.render.forms.FORMS`, which is not imported here: `--help` must not wait for it."""

_F = TypeVar("_F", bound=Callable[..., Any])


class _Size(click.ParamType[tuple[int, int]]):
    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"(\d+)(?:x(\d+))?", str(value))
        if match is None:
            self.fail(f"got {value!r}, expected a height and width such as 225x193, or one number for both", param, ctx)
        return int(match[1]), int(match[2] or match[1])


SIZE = _Size()

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="What a candidate's import, building, forward pass or one layer may take.",
)


def network_options(function: _F) -> _F:
    """--expected (torchvision's ResNet-50 by default), --weights, --threads and --seed."""
    option = click.option(
        "--expected",
        default="torchvision:resnet50",
        show_default=True,
        help="The reference: torchvision:NAME.",
    )
    return option(run_options(function))


def candidate_options(function: _F) -> _F:
    """--expected (by default what the candidate is most like), --timeout, and `run_options`."""
    for option in (
        timeout_option,
        click.option(
            "--expected",
            help="The reference: torchvision:NAME, FILE.py:CALL or module:CALL. Default: the torchvision network that "
            "the candidate is most like; ResNet-50 for our own.",
        ),
    ):
        function = option(function)
    return run_options(function)


def run_options(function: _F) -> _F:
    """--weights, --threads and --seed."""
    for option in (
        click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the dense probe and the drift floor."),
        click.option(
            "--threads",
            type=click.IntRange(1, 1024),
            help="For torch and NumPy; by default as they choose. While networks are judged, NumPy's BLAS has one.",
        ),
        click.option(
            "--weights",
            default="auto",
            show_default=True,
            help="imagenet1k_v1, imagenet1k_v2, FILE.pth, FILE.safetensors, txt:DIR, synthetic[:SEED] or auto "
            "(imagenet1k_v1, else synthetic:0); `run` also takes keep: a candidate's own stay; keep:SPEC says which of "
            "these torchvision's network gets then, else auto.",
        ),
    ):
        function = option(function)
    return function


def preprocess_option(function: _F) -> _F:
    """--preprocess."""
    return click.option(
        "--preprocess",
        "--input",
        "preprocess",
        metavar="SPEC",
        help="Your own preprocessing, held against the reference's for the same images: FILE.py:FUNCTION or "
        "module:FUNCTION (takes an image, gives a tensor), or a saved input: .npy, .npz, .pt, .safetensors.",
    )(function)


def image_options(function: _F) -> _F:
    """--image, --size and --batch."""
    for option in (
        click.option("--batch", type=click.IntRange(min=1), help="Images at once; repeats are shifted sideways."),
        click.option(
            "--size", type=SIZE, metavar="HxW", help="Height and width to crop to, such as 225x193; default 224x224."
        ),
        click.option(
            "--image",
            "images",
            multiple=True,
            type=click.Path(path_type=Path),
            help="A photo; may be repeated. Default: a cat.",
        ),
    ):
        function = option(function)
    return function


def which_network(default: str, *others: str) -> Callable[[_F], _F]:
    """--network; `others` beside the two that have layers."""
    return click.option(
        "--network",
        "kind",
        type=click.Choice(["expected", "torch", "numpy", *others]),
        default=default,
        show_default=True,
        help="Torchvision's network, or one of the handwritten ones.",
    )


def report_options(function: _F) -> _F:
    """--format, --stat, --output, --all and --ascii."""
    for option in (
        click.option("--ascii", "ascii_only", is_flag=True, help="No signs beyond ASCII."),
        click.option("--all", "every_layer", is_flag=True, help="A row for every layer."),
        click.option("--stat", is_flag=True, help="Only the answers."),
        click.option("--output", type=click.Path(path_type=Path), help="Also write the run as JSON to this file."),
        click.option(
            "--format",
            "form",
            type=click.Choice(REPORT_FORMS),
            default="full",
            show_default=True,
            help="What to print; see docs/reports.md.",
        ),
    ):
        function = option(function)
    return function


def use_threads(threads: int | None) -> None:
    """Let torch and NumPy's BLAS use that many threads; None leaves them as they are."""
    if threads is None:
        return
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    # For the rest of the process: the limits are not undone.
    threadpool_limits(limits=threads)
