"""Candidates: from the words of a spec to something that can be judged."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layerdiff.candidate.guard import Watched, foreign
from layerdiff.candidate.home import Home
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
        home: where its code lives; None where it is no code that was loaded.
    """

    spec: Spec | None
    network: Any = field(default=None, repr=False)
    name: str = ""
    file: Path | None = None
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    home: Home | None = field(default=None, repr=False)

    @contextlib.contextmanager
    def at_work(self, doing: str) -> Iterator[Watched]:
        """A block in which its code runs: watched where it is code that was loaded, see `candidate.guard`."""
        if self.home is None:
            yield Watched()
            return
        with foreign(self.name, doing, home=self.home) as watched:
            yield watched

    @property
    def kind(self) -> str:
        """`own`, `torchvision`, `network` (somebody's code, or an object), `onnx` or `trace`."""
        if self.spec is None or self.spec.kind in {"file", "module"}:
            return "network"
        return self.spec.kind


def load_candidate(
    actual: str | Any, *, option: str = "actual", architecture: str = "resnet50", seed: int = 0
) -> Candidate:
    """The candidate that `actual` names or is; somebody's code is imported and called.

    Args:
        actual: a spec (see `candidate.spec.parse_spec`), a path, or a network.
        option: where it was given, for errors.
        architecture: which of several networks in a file is wanted, where the spec does not say.
        seed: of the generators while somebody's code builds it.

    Raises:
        InputError: there is no such thing, or it is no network.
    """
    if isinstance(actual, os.PathLike):
        actual = os.fspath(actual) + "/" * Path(actual).is_dir()
    if not isinstance(actual, str):
        from layerdiff.handed_over import as_handed_over

        network, notes = as_handed_over(actual, option)
        return Candidate(None, network, type(network).__name__, notes=notes)
    spec = parse_spec(actual, option=option)
    if spec.kind in {"file", "module"}:
        from layerdiff.candidate.load import load_network

        loaded = load_network(spec, architecture=architecture, seed=seed)
        file = Path(loaded.source_file) if loaded.source_file else None
        facts = [(f"{option}_sha256", loaded.sha256)] if loaded.sha256 else []
        facts += [(f"{option}_imports {path}", digest) for path, digest in loaded.imported.items()]
        return Candidate(spec, loaded.network, loaded.name, file, tuple(facts), tuple(loaded.notes), loaded.home)
    if spec.kind in {"onnx", "trace"}:
        file = Path(spec.target)
        return Candidate(spec, None, spec.target, file, ((f"{option}_sha256", _hash(file)),) if file.exists() else ())
    return Candidate(spec, None, spec.text)


def _hash(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(file for file in path.iterdir() if file.is_file())
    return hashlib.sha256("\n".join(f"{_hash(file)} {file.name}" for file in files).encode()).hexdigest()


def guess_architecture(candidates: Sequence[Candidate], shape: tuple[int, ...]) -> tuple[str, str]:
    """The torchvision network that the first candidate is most like, and a note that says so.

    Args:
        candidates: at least one; our own can be any, and are ResNet-50 where nothing else is judged.
        shape: (n, c, h, w) of the input.

    Raises:
        InputError: none is like it.
    """
    held: Counter[tuple[int, ...]] = Counter()
    first = next((one for one in candidates if one.kind != "own"), None)
    if first is None:
        return "resnet50", ""
    if first.spec is not None and first.kind == "torchvision":
        return first.spec.target, f"expected: {first.spec.text}, as the candidate"
    if first.kind == "trace":
        return _recorded(first)
    if first.kind == "onnx":
        from layerdiff.compare.capture_onnx import onnx_operations

        ops = onnx_operations(Path(first.file or ""))
    else:
        from layerdiff.compare.foreign import in_eval_mode
        from layerdiff.compare.structure import structure_of

        with first.at_work("forward pass"), in_eval_mode(first.network):
            structure = structure_of(first.network, shape)
        ops = structure.ops
        held = Counter(tuple(sorted(shape)) for shape in structure.tensors.values() if len(shape) >= 2)
    from layerdiff.compare.likeness import closest, forms

    known = _known_forms()
    # What it uses says more than what it holds, if it gets far enough.
    name, likeness = max((closest(found, known) for found in (forms(ops), held)), key=lambda one: one[1])
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


def _recorded(one: Candidate) -> tuple[str, str]:
    """The only torchvision network that has every layer in a trace with as many channels, and a note that says so.

    Of several, the one that has no other layers: the layers of ResNet-18 are all in ResNet-34 too.

    Raises:
        InputError: none has them, or more than one.
    """
    from layerdiff.compare.structure import structure_of
    from layerdiff.compare.trace_files import read_any_trace
    from layerdiff.reference import ARCHITECTURES
    from layerdiff.reference.architectures import blank_network

    found = {(op.layer, op.shape[1]) for op in read_any_trace(Path(one.file or "")).ops}
    known = {
        name: {(op.layer, op.shape[1]) for op in structure_of(blank_network(name), (1, 3, 64, 64)).ops}
        for name in ARCHITECTURES
    }
    having = [name for name in known if found <= known[name]]
    exact = [name for name in having if found == known[name]]
    fitting = exact if len(exact) == 1 else having
    if len(fitting) == 1:
        how = "the layers in" if exact else "the only one with all layers of"
        return fitting[0], f"expected: torchvision:{fitting[0]}, since it has exactly {how} {one.name}"
    got = f"those of {', '.join(fitting)}" if fitting else "those of none of torchvision's networks"
    raise InputError(
        f"expected: not said, and the layers in {one.name} do not tell, got {got}, expected those of one alone",
        help="say what it is meant to be, such as --expected torchvision:resnet50",
    )
