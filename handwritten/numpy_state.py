"""Whether a state dict fits a network: everything that is wrong with it, said at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["check_state"]


def check_state(where: str, state: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """Refuses a state dict of which any tensor does not fit.

    Args:
        where: the network's class, for the error.
        state: what is to be loaded.
        expected: the network's own arrays, of which names and shapes count.

    Raises:
        ValueError: tensors are missing, unexpected, misshapen, not floating or not finite; a note for each kind lists
            all of that kind.
    """
    problems = _problems(state, expected)
    if not problems:
        return
    count = sum(len(found) for found in problems.values())
    error = refusal(
        f"{where}.load_state_dict: the tensors do not fit, got {count} problems, expected the {len(expected)} tensors "
        "of state_dict()",
        help="nothing was loaded; is this the state of another architecture?",
    )
    for kind, found in problems.items():
        error.add_note(f"note: {kind}: {', '.join(found)}")
    raise error


def _problems(state: Mapping[str, Array], expected: Mapping[str, Array]) -> dict[str, list[str]]:
    shared = {name: np.asarray(state[name]) for name in expected if name in state}
    floating = {name: array for name, array in shared.items() if np.issubdtype(array.dtype, np.floating)}
    problems = {
        "missing": [name for name in expected if name not in state],
        "unexpected": [name for name in state if name not in expected and not _is_counter(name)],
        "misshapen": [
            f"{name} {array.shape} instead of {expected[name].shape}"
            for name, array in shared.items()
            if array.shape != expected[name].shape
        ],
        "not floating": [f"{name} {array.dtype}" for name, array in shared.items() if name not in floating],
        "not finite": [name for name, array in floating.items() if not np.isfinite(array).all()],
    }
    return {kind: found for kind, found in problems.items() if found}


def _is_counter(name: str) -> bool:
    """Whether `name` is a batch norm's count of batches, which torch keeps and inference never reads."""
    return name.rpartition(".")[2] == "num_batches_tracked"
