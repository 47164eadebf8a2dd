"""Whether the saved state of an optimiser fits it: everything that is wrong with it, said at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.numpy_ops._arrays import Array

__all__ = ["State", "check_state"]

State = Mapping[str, Array | float]


def check_state(where: str, state: State, own: State, fixed: tuple[str, ...]) -> None:
    """Refuses a state of which anything does not fit.

    Args:
        where: the optimiser's class, for the error.
        state: what is to be loaded.
        own: the optimiser's own, of which names, shapes and dtypes count.
        fixed: the names of `own` whose values count too.

    Raises:
        ValueError: entries are missing, unexpected, misshapen, of another dtype, not finite or of another value; a
            note for each kind lists all of that kind.
    """
    problems = _problems(state, own, fixed)
    if not problems:
        return
    count = sum(len(found) for found in problems.values())
    error = refusal(
        f"{where}.load_state_dict: the state does not fit, got {count} problems, expected the {len(own)} entries of "
        "state_dict()",
        help="nothing was loaded; build the optimiser as it was when the state was saved",
    )
    for kind, found in problems.items():
        error.add_note(f"note: {kind}: {', '.join(found)}")
    raise error


def _problems(state: State, own: State, fixed: tuple[str, ...]) -> dict[str, list[str]]:
    pairs = {name: (_entry(state[name], own[name]), np.asarray(own[name])) for name in own if name in state}
    shaped = {name: pair for name, pair in pairs.items() if pair[0].shape == pair[1].shape}
    numbers = {name: pair for name, pair in shaped.items() if _all_finite(pair[0])}
    problems = {
        "missing": [name for name in own if name not in state],
        "unexpected": [name for name in state if name not in own],
        "misshapen": [
            f"{name} {found.shape} instead of {mine.shape}"
            for name, (found, mine) in pairs.items()
            if name not in shaped
        ],
        "another dtype": [
            f"{name} {found.dtype} instead of {mine.dtype}"
            for name, (found, mine) in shaped.items()
            if _is_buffer(name) and found.dtype != mine.dtype
        ],
        "not finite": [name for name in shaped if name not in numbers],
        "another value": [
            f"{name} {found} instead of {mine}"
            for name, (found, mine) in numbers.items()
            if name in fixed and not np.array_equal(found, mine)
        ],
        "out of range": [
            f"{name} {found}"
            for name, (found, _) in numbers.items()
            if (name in {"step", "lr"} and found < 0) or (name == "step" and found % 1)
        ],
    }
    return {kind: found for kind, found in problems.items() if found}


def _entry(found: Array | float, mine: Array | float) -> Array:
    """What was saved as an array; a number that went through a file comes back as an array of one value."""
    array = np.asarray(found)
    return array if isinstance(mine, np.ndarray) or array.size != 1 else array.reshape(())


def _all_finite(array: Array) -> bool:
    is_number = np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_
    return bool(is_number and np.isfinite(array).all())


def _is_buffer(name: str) -> bool:
    """Whether an entry is `<parameter>.<buffer>`: the names of hyperparameters have no dot."""
    return "." in name
