"""Candidates: from the words of a spec to something that can be judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layerdiff.candidate.spec import Spec, parse_spec
from layerdiff.errors import InputError

__all__ = ["Candidate", "guess_architecture", "load_candidate"]

_ENOUGH = 0.5


@dataclass(frozen=True)
class Candidate:
    """What is to be judged.

    Attributes:
        spec: how it was named; None for a network that was handed over as an object.
        network: a torch or NumPy network; None for one of our own (it is built once the architecture is known), a
            trace or an ONNX file.
        name: what it is, in words.
        file: the file it came from.
        facts: its file's hash and the like, for the report.
        notes: what the reader must know about how it was loaded.
    """

    spec: Spec | None
    network: Any = field(default=None, repr=False)
    name: str = ""
    file: Path | None = None
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """`own`, `torchvision`, `network` (somebody's code, or an object), `onnx` or `trace`."""
        if self.spec is None or self.spec.kind in {"file", "module"}:
            return "network"
        return self.spec.kind


def load_candidate(actual: str | Any, *, option: str = "actual") -> Candidate:
    """The candidate that `actual` names or is; somebody's code is imported and called.

    Args:
        actual: a spec (see `candidate.spec.parse_spec`), or a network.
        option: where it was given, for errors.

    Raises:
        InputError: there is no such thing, or it is no network.
    """
    if not isinstance(actual, str):
        return Candidate(None, actual, type(actual).__name__)
    spec = parse_spec(actual, option=option)
    if spec.kind in {"file", "module"}:
        from layerdiff.candidate.load import load_network

        loaded = load_network(spec)
        file = Path(loaded.source_file) if loaded.source_file else None
        facts = ((f"{option}_sha256", loaded.sha256),) if loaded.sha256 else ()
        return Candidate(spec, loaded.network, loaded.name, file, facts, tuple(loaded.notes))
    if spec.kind in {"onnx", "trace"}:
        return Candidate(spec, None, spec.target, Path(spec.target))
    return Candidate(spec, None, spec.text)


def guess_architecture(candidates: Sequence[Candidate], shape: tuple[int, ...]) -> tuple[str, str]:
    """The torchvision network that the first candidate is most like, and a note that says so.

    Args:
        candidates: at least one; our own are ResNet-50 unless something else is asked for.
        shape: (n, c, h, w) of the input.

    Raises:
        InputError: none is like it.
    """
    first = next((one for one in candidates if one.kind in {"network", "onnx"}), None)
    if first is None:
        return "resnet50", ""
    if first.kind == "onnx":
        from layerdiff.compare.capture_onnx import onnx_operations

        ops = onnx_operations(Path(first.file or ""))
    else:
        from layerdiff.compare.foreign import in_eval_mode
        from layerdiff.compare.structure import structure_of

        with in_eval_mode(first.network):
            ops = structure_of(first.network, shape).ops
    from layerdiff.compare.likeness import closest

    name, likeness = closest(ops, _known_forms())
    if likeness < _ENOUGH:
        raise InputError(
            f"expected: not said, and {first.name} is like none of torchvision's networks; the closest is {name}, "
            f"with {100 * likeness:.0f} % of the weights' shapes in common",
            help=f"say what it is meant to be, such as --expected torchvision:{name}",
        )
    how = "all" if likeness == 1 else f"{100 * likeness:.0f} %"
    return name, f"expected: torchvision:{name}, since {how} of its weights' shapes are those of {first.name}"


def _known_forms() -> dict[str, Counter[tuple[int, ...]]]:
    from layerdiff.reference import ARCHITECTURES, expected_tensors

    return {
        name: Counter(tuple(sorted(shape)) for shape in expected_tensors(name).values() if len(shape) >= 2)
        for name in ARCHITECTURES
    }
