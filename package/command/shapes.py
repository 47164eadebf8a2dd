"""`layerdiff shapes`: two networks' shapes, parameters and multiply-adds side by side, and why one of them crashes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layerdiff.candidate.stages import is_supervised
from layerdiff.candidate.supervise import supervised
from layerdiff.command.options import SIZE, timeout_option
from layerdiff.command.output import check_writable, deliver_other
from layerdiff.command.supervision import runs_foreign_code
from layerdiff.errors import InputError

if TYPE_CHECKING:
    from layerdiff.candidates import Candidate
    from layerdiff.compare.ledger import Ledger
    from layerdiff.compare.structure import Structure

__all__ = ["command"]

_DEFAULT = "torchvision:resnet50"
_OWN = "resnet50"
_ENOUGH = 0.5


@click.command(name="shapes")
@click.option(
    "--expected",
    metavar="SPEC",
    help="torchvision:NAME, FILE.py:CALL or module:CALL. Default: the torchvision network that the candidate is most "
    "like.",
)
@click.option(
    "--actual",
    metavar="SPEC",
    help="FILE.py:CALL, module:CALL, or torch or numpy (our own). Default: none, the expected network is shown alone.",
)
@click.option("--size", type=SIZE, metavar="HxW", default="224x224", show_default=True, help="Of the input.")
@click.option("--batch", type=click.IntRange(1, 1024), default=1, show_default=True, help="Images at once.")
@timeout_option
@click.option(
    "--format", "form", type=click.Choice(["full", "json"]), default="full", show_default=True, help="What to print."
)
@click.option("--output", type=click.Path(path_type=Path), help="Also write the table as JSON to this file.")
@click.option("--all", "every_layer", is_flag=True, help="A row for every layer.")
@click.option("--ascii", "ascii_only", is_flag=True, help="No signs beyond ASCII.")
def command(
    expected: str | None,
    actual: str | None,
    size: tuple[int, int],
    batch: int,
    timeout: float,
    form: str,
    output: Path | None,
    every_layer: bool,
    ascii_only: bool,
) -> int:
    """Put two networks' shapes, parameters and multiply-adds side by side; where one crashes, say why.

    Exit codes: 0 all shapes agree, 1 some do not or something is missing or too many, 2 could not tell.

    A candidate's file is code, and it runs with your rights.
    """
    check_writable(output)
    if runs_foreign_code([actual] if actual else [], expected) and not is_supervised():
        return supervised(sys.argv[1:], timeout)
    from layerdiff.compare.ledger import ledger_to_json
    from layerdiff.compare.render.shapes import render_shapes
    from layerdiff.compare.result import exit_code
    from layerdiff.subject import LARGEST

    if not 1 <= min(size) <= max(size) <= LARGEST:
        raise InputError(f"size: got {size[0]}x{size[1]}, expected 1 to {LARGEST} pixels a side")
    ledger = _ledger(expected, actual, (batch, 3, *size))
    deliver_other(
        ledger_to_json(ledger),
        lambda width, plain: render_shapes(ledger, width=width, ascii_only=plain, every_layer=every_layer),
        form=form,
        output=output,
        ascii_only=ascii_only,
    )
    return exit_code(ledger.verdict)


def _ledger(expected: str | None, actual: str | None, shape: tuple[int, ...]) -> Ledger:
    from layerdiff.candidates import load_candidate
    from layerdiff.compare.costs import other_names
    from layerdiff.compare.ledger import ledger_of

    if actual is None:
        reference = load_candidate(expected or _DEFAULT, option="expected")
        network, structure = _structure(reference, shape, _OWN)
        return replace(ledger_of(structure, shared=other_names(network)), remarks=reference.notes)
    candidate = load_candidate(actual)
    architecture = _named(expected) or _OWN
    network, structure = _structure(candidate, shape, architecture)
    remarks = candidate.notes
    if expected is None:
        name, remark = (_OWN, "") if candidate.kind == "own" else _most_like(structure)
        expected, remarks = f"torchvision:{name}", (*remarks, *([remark] if remark else []))
    reference = load_candidate(expected, option="expected")
    _, wanted = _structure(reference, shape, architecture)
    ledger = ledger_of(wanted, structure, shared=other_names(network))
    return replace(ledger, remarks=tuple(dict.fromkeys((*reference.notes, *remarks))))


def _named(expected: str | None) -> str | None:
    """The name in `torchvision:NAME`."""
    source, _, name = (expected or "").partition(":")
    return name if source == "torchvision" else None


def _structure(candidate: Candidate, shape: tuple[int, ...], architecture: str) -> tuple[Any, Structure]:
    """The network itself, and what it consists of.

    Raises:
        InputError: it is a saved trace or an ONNX file, or cannot be built.
    """
    from layerdiff.compare.foreign import in_eval_mode
    from layerdiff.compare.structure import structure_of

    network, name = _network(candidate, architecture)
    with candidate.at_work("forward pass"), in_eval_mode(network):
        return network, structure_of(network, shape, name=name)


def _network(candidate: Candidate, architecture: str) -> tuple[Any, str]:
    import torch

    if candidate.kind == "network":
        return candidate.network, candidate.name
    text = candidate.spec.text if candidate.spec is not None else candidate.name
    if candidate.kind == "torchvision":
        from layerdiff.reference.architectures import blank_network

        name = text.partition(":")[2]
        return blank_network(name), f"torchvision {name}"
    if candidate.kind != "own":
        raise InputError(
            f"shapes: {text} holds no network that can be run on other sizes, expected a network's code",
            help="FILE.py:CALL, module:CALL or torchvision:NAME; `layerdiff run` judges traces and ONNX files",
        )
    from layerdiff.reference.architectures import check_name

    check_name(architecture)
    if text == "fused":
        raise InputError(
            "shapes: the fused network has no layers to be looked at, got fused, expected numpy, whose layers it folds"
        )
    if text == "kept":
        raise InputError("shapes: the kept network runs by a plan for one size, got kept, expected numpy, its textbook")
    if text == "torch":
        from layerdiff.handwritten import torch_resnet

        with torch.device("meta"):
            return torch_resnet.build(architecture), f"handwritten torch {architecture}"
    from layerdiff.handwritten import numpy_resnet

    return numpy_resnet.build(architecture), f"handwritten NumPy {architecture}"


def _most_like(structure: Structure) -> tuple[str, str]:
    """The torchvision network that shares most weights' shapes with a network, and a remark that says so.

    What the network holds is looked at, not what ran: it may have raised at once.

    Raises:
        InputError: none shares half of them.
    """
    found = _forms(structure.tensors)
    if structure.crash is None:
        from layerdiff.compare.likeness import forms

        # It may hold more than it uses, and use more than it has registered.
        found = forms(structure.ops)
    from layerdiff.reference import ARCHITECTURES, expected_tensors

    known = {name: _forms(expected_tensors(name)) for name in ARCHITECTURES}
    likeness = {name: (found & known[name]).total() / max(1, (found | known[name]).total()) for name in known}
    best = max(likeness, key=lambda name: likeness[name])
    if likeness[best] < _ENOUGH:
        raise InputError(
            f"expected: not said, and {structure.network} is like none of torchvision's networks; the closest is "
            f"{best}, with {100 * likeness[best]:.0f} % of the weights' shapes in common",
            help=f"say what it is meant to be, such as --expected torchvision:{best}",
        )
    how = "all" if likeness[best] == 1 else f"{100 * likeness[best]:.0f} %"
    return best, f"expected: torchvision:{best}, since {how} of its weights' shapes are those of {structure.network}"


def _forms(tensors: Mapping[str, tuple[int, ...]]) -> Counter[tuple[int, ...]]:
    return Counter(tuple(sorted(shape)) for shape in tensors.values() if len(shape) >= 2)
