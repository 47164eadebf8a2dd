"""The arrays of a learner's state: whether they fit, and random generators written as such."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerdiff.handwritten._checks import refusal
from layerdiff.handwritten.training.learner import State

__all__ = ["apart_from", "below", "check_fit", "pack_generator", "prefixed", "unpack_generators"]


def prefixed(prefix: str, arrays: Mapping[str, NDArray[Any] | float]) -> State:
    """`arrays`, each under `prefix.` and its name; numbers become arrays without axes."""
    return {f"{prefix}.{name}": np.array(array) for name, array in arrays.items()}


def below(prefix: str, state: Mapping[str, NDArray[Any]]) -> State:
    """What `prefixed` made of `prefix`, under the names of before."""
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in state.items() if name.startswith(start)}


def apart_from(prefixes: tuple[str, ...], state: Mapping[str, NDArray[Any]]) -> State:
    """All of `state` but what is below one of `prefixes`."""
    starts = tuple(f"{prefix}." for prefix in prefixes)
    return {name: array for name, array in state.items() if not name.startswith(starts)}


def check_fit(where: str, state: Mapping[str, NDArray[Any]], own: Mapping[str, NDArray[Any]]) -> None:
    """Refuses a state of other names, shapes or dtypes than a learner's own.

    Raises:
        ValueError: there are such; a note for each kind lists all of that kind.
    """
    shared = [(name, state[name], array) for name, array in own.items() if name in state]
    problems = {
        "missing": [name for name in own if name not in state],
        "unexpected": [name for name in state if name not in own],
        "misshapen": [
            f"{name} {found.shape} instead of {array.shape}"
            for name, found, array in shared
            if found.shape != array.shape
        ],
        "another dtype": [
            f"{name} {found.dtype} instead of {array.dtype}"
            for name, found, array in shared
            if found.dtype != array.dtype
        ],
    }
    count = sum(map(len, problems.values()))
    if count == 0:
        return
    error = refusal(
        f"{where}.load_state: the state does not fit, got {count} problems, expected the {len(own)} arrays of state()",
        help="nothing was loaded; build network and optimiser as they were when the state was saved",
    )
    for kind, names in problems.items():
        if names:
            error.add_note(f"note: {kind}: {', '.join(names)}")
    raise error


def pack_generator(generator: np.random.Generator) -> NDArray[np.uint8]:
    """The state of a generator as bytes of JSON, (n,) uint8."""
    state = generator.bit_generator.state
    return np.frombuffer(json.dumps(state, default=lambda array: array.tolist()).encode(), dtype=np.uint8)


def unpack_generators(
    where: str, packed: Mapping[str, NDArray[Any]], generators: Mapping[str, np.random.Generator]
) -> dict[str, Mapping[str, Any]]:
    """The states in `packed`, each for the `bit_generator.state` of the generator of its name, which is not set yet.

    Raises:
        ValueError: the names differ, or a state is none, or is that of another kind of generator; all are named.
    """
    kinds = {name: type(generator.bit_generator).__name__ for name, generator in generators.items()}
    states = {name: _unpacked(array) for name, array in packed.items()}
    found = {name: state.get("bit_generator") for name, state in states.items()}
    if found != kinds:
        raise refusal(
            f"{where}.load_state: other random generators, got {_listed(found)}, expected {_listed(kinds)}",
            help="nothing was loaded; build the network as it was when the state was saved",
        )
    return states


def _unpacked(array: NDArray[Any]) -> Mapping[str, Any]:
    try:
        state = json.loads(array.tobytes())
    except ValueError:  # of JSON as of UTF-8
        return {}
    return state if isinstance(state, dict) else {}


def _listed(kinds: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in kinds.items()) or "none"
