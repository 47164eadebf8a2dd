"""Weights that go from one network into another: whose they are, and where each of them goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerdiff.candidates import Candidate, load_candidate
from layerdiff.errors import InputError
from layerdiff.references import Asked, referred

if TYPE_CHECKING:
    from layerdiff.compare.transfer import Transfer

__all__ = ["find_transfer", "read_mapping", "refuse_mapping", "weights_source"]

_KEEP = "keep"


def find_transfer(
    actual: str | Any, expected: str | Any | None, weights: str = "auto", size: tuple[int, int] | None = None
) -> tuple[Transfer, tuple[str, ...]]:
    """Where each of the expected network's tensors goes in `actual`, and what the reader must know.

    Raises:
        InputError: `actual` is no network whose code can be run, or something else cannot be used.
    """
    from layerdiff.compare.foreign import in_eval_mode, propose_transfer

    source, keep = weights_source(weights)
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


def weights_source(weights: str) -> tuple[str, bool]:
    """Whose weights the expected network gets, and whether a candidate keeps its own."""
    first, _, rest = weights.partition(":")
    return (rest or "auto", True) if first == _KEEP else (weights, False)


def read_mapping(mapping: str | Path | None) -> Transfer | None:
    """The map in a file, if one was named."""
    if mapping is None:
        return None
    from layerdiff.compare.weights_map import read_map

    return read_map(Path(mapping))


def refuse_mapping(keep: bool, candidates: Sequence[Candidate]) -> None:
    """Refuse a map where no candidate can use it.

    Raises:
        InputError: a candidate keeps its weights, or is no network's code.
    """
    if keep:
        raise InputError("map: a candidate that keeps its weights needs none, got both --map and --weights keep")
    others = [one.name for one in candidates if one.kind not in {"network", "torchvision"}]
    if others:
        raise InputError(f"map: it is for a network's code, got {', '.join(others)}", help="judge them in another run")
