"""Two networks as they come from their constructors: are their fresh tensors drawn alike?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from layerdiff.candidates import Candidate, guess_architecture, load_candidate
from layerdiff.errors import InputError

if TYPE_CHECKING:
    from layerdiff.compare.initial.initial import Initial
    from layerdiff.compare.trace import Array, Op
    from layerdiff.compare.transfer import Transfer

__all__ = ["compare_initial"]

_OWN = "resnet50"


def compare_initial(
    actual: str | Any, *, expected: str | Any | None = None, size: tuple[int, int] = (224, 224), seed: int = 0
) -> Initial:
    """How a candidate's fresh tensors are drawn, held against how the reference's are, and by which rule each.

    Neither gets weights. Tensors are paired as for the transfer of weights: by their names, or, where these say
    nothing, by running both once on noise. Both networks are afterwards as they were.

    Args:
        actual: `torch` or `numpy` (our own networks), `torchvision:NAME`, `FILE.py:CALL`, `module:CALL`, or a network
            as an object, which is taken to be fresh.
        expected: likewise; by default the torchvision network that the candidate is most like.
        size: height and width of the input, (1, 3, h, w), by which tensors of other names are paired.
        seed: the candidate is built under this one and the reference under the next, as far as their code draws from
            the generators of torch, NumPy or Python.

    Raises:
        InputError: one of them cannot be had, holds no code that can be built, or the reference does not run.
    """
    shape = (1, 3, *size)
    candidate = load_candidate(actual, architecture=_named(expected) or _OWN, seed=seed)
    _refuse_saved(candidate, "actual")
    note = ""
    if expected is None:
        name, note = guess_architecture([candidate], shape)
        expected = f"torchvision:{name}"
    reference = load_candidate(expected, option="expected", seed=seed + 1)
    _refuse_saved(reference, "expected")
    architecture = _named(expected) or _OWN
    here = _Built(reference, *_built(reference, architecture, seed + 1))
    there = _Built(candidate, *_built(candidate, architecture, seed))
    found, notes = _judged(here, there, shape)
    said = dict.fromkeys((*([note] if note else []), *reference.notes, *candidate.notes, *found.notes, *notes))
    return replace(found, notes=tuple(said))


@dataclass(frozen=True)
class _Built:
    """A network fresh from its constructor."""

    candidate: Candidate
    network: Any
    words: str


def _judged(expected: _Built, actual: _Built, shape: tuple[int, ...]) -> tuple[Initial, tuple[str, ...]]:
    """The judgement, and what is to be said of the candidate's code at work."""
    from layerdiff.compare.foreign import in_eval_mode
    from layerdiff.compare.initial.judge_initial import judge_initial
    from layerdiff.compare.initial.places import places_of
    from layerdiff.compare.judging import tensors_of

    with (
        expected.candidate.at_work("forward pass") as watching,
        actual.candidate.at_work("forward pass") as watched,
        in_eval_mode(expected.network),
        in_eval_mode(actual.network),
    ):
        # Copies: a norm that stays in training mode changes its running estimates when it runs.
        here, there = ({name: array.copy() for name, array in tensors_of(one.network).items()}
                       for one in (expected, actual))  # fmt: skip
        ops = _operations(expected, shape)
        transfer, notes = _paired(expected, actual, here, there, shape)
    shapes = {name: array.shape for name, array in here.items()}
    found = judge_initial(
        here, there, transfer, places_of(ops, shapes), names=(expected.words, actual.words), notes=notes
    )
    return found, (*watching.notes, *watched.notes)


def _operations(expected: _Built, shape: tuple[int, ...]) -> Sequence[Op]:
    """What the reference does, for which its arithmetic is not needed.

    Raises:
        InputError: it raises on such an input.
    """
    from layerdiff.compare.structure import structure_of

    structure = structure_of(expected.network, shape)
    if structure.crash is not None:
        crash = structure.crash
        raise InputError(
            f"expected: {expected.words} raises on an input of {shape}, got {crash.error} at {crash.layer}: "
            f"{crash.message}",
            help="--size gives another; `layerdiff shapes` says why one crashes",
        )
    return structure.ops


def _paired(
    expected: _Built, actual: _Built, here: Mapping[str, Array], there: Mapping[str, Array], shape: tuple[int, ...]
) -> tuple[Transfer, tuple[str, ...]]:
    """Which tensor stands for which, and what is to be said of it."""
    from layerdiff.compare.capture import capture
    from layerdiff.compare.foreign import propose_transfer
    from layerdiff.compare.structure import structure_of
    from layerdiff.compare.transfer import by_names

    if len(here) == len(there) and (transfer := by_names(here, there)) is not None:
        return transfer, ()
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    transfer = propose_transfer(capture(expected.network, x), actual.network, x, here)
    crash = structure_of(actual.network, shape).crash if transfer.unplaced else None
    said = [f"the candidate raises at {crash.layer}: what lies behind it has no partner"] if crash is not None else []
    if transfer.unused:
        said.append(f"not looked at, since never used: {', '.join(transfer.unused[:3])}")
    return transfer, tuple(said)


def _named(expected: str | Any | None) -> str | None:
    """The name in `torchvision:NAME`."""
    source, _, name = expected.partition(":") if isinstance(expected, str) else ("", "", "")
    return name if source == "torchvision" else None


def _refuse_saved(candidate: Candidate, option: str) -> None:
    if candidate.kind in {"onnx", "trace"}:
        raise InputError(
            f"{option}: {candidate.name} is no network that can be built anew, got a saved one, expected code",
            help="FILE.py:CALL, module:CALL or torchvision:NAME",
        )


def _built(candidate: Candidate, architecture: str, seed: int) -> tuple[Any, str]:
    """A network fresh from its constructor, and what it is in words."""
    if candidate.kind == "network":
        # A network that was handed over was built under a seed of its own.
        return candidate.network, candidate.name if candidate.spec is None else f"{candidate.name}, seed {seed}"
    from layerdiff.reference import torchvision_model
    from layerdiff.reference.architectures import check_name

    target = candidate.spec.target if candidate.spec is not None else ""
    if candidate.kind == "torchvision":
        return torchvision_model(target, seed=seed), f"torchvision {target}, seed {seed}"
    check_name(architecture)
    if target == "numpy":
        from layerdiff.handwritten import numpy_resnet

        return numpy_resnet.build(architecture, seed=seed), f"handwritten NumPy {architecture}, seed {seed}"
    import torch

    from layerdiff.handwritten import torch_resnet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch_resnet.build(architecture).eval(), f"handwritten torch {architecture}, seed {seed}"
