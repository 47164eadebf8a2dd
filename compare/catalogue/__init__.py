"""The catalogue of causes: what each code means, why people do it, how to fix it, with an example that a test runs.

A code is a letter for a group and a number. It covers what can be met in a forward pass or in what is given to one, on
the way back, in a step of training, and in how a network begins. What cannot is left out, and `LEFT_OUT` says why: G7,
a state dict that was not copied and goes on changing, which is only seen by looking twice. The letter L is for a
comparer's own mistakes, which are not causes in a network.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from layerdiff.compare.catalogue.activation import ACTIVATION
from layerdiff.compare.catalogue.cause import Cause
from layerdiff.compare.catalogue.convolution import CONVOLUTION
from layerdiff.compare.catalogue.initialisation import INITIALISATION
from layerdiff.compare.catalogue.linear import LINEAR
from layerdiff.compare.catalogue.mode import MODE
from layerdiff.compare.catalogue.normalisation import NORMALISATION
from layerdiff.compare.catalogue.numerics import NUMERICS
from layerdiff.compare.catalogue.pooling import POOLING
from layerdiff.compare.catalogue.preprocessing import PREPROCESSING
from layerdiff.compare.catalogue.prints import PRINTS
from layerdiff.compare.catalogue.shapes import SHAPES
from layerdiff.compare.catalogue.steps import STEPS
from layerdiff.compare.catalogue.structure import STRUCTURE
from layerdiff.compare.catalogue.training import TRAINING
from layerdiff.compare.catalogue.unexplained import UNEXPLAINED_CAUSE
from layerdiff.compare.catalogue.weights import WEIGHTS
from layerdiff.errors import InputError

__all__ = ["CAUSES", "GROUPS", "LEFT_OUT", "Cause", "cause", "causes_of"]

_BY_LETTER = {
    "A": ("structure", STRUCTURE),
    "B": ("convolution", CONVOLUTION),
    "C": ("normalisation", NORMALISATION),
    "D": ("pooling", POOLING),
    "E": ("activation", ACTIVATION),
    "F": ("flatten and linear layers", LINEAR),
    "G": ("weights and loading", WEIGHTS),
    "H": ("arithmetic", NUMERICS),
    "I": ("picture and labels", PREPROCESSING),
    "J": ("training", tuple(sorted((*INITIALISATION, *STEPS, *TRAINING), key=lambda one: int(one.code[1:])))),
    "K": ("mode and state", MODE),
    "M": ("shape errors", SHAPES),
    "U": ("unexplained", UNEXPLAINED_CAUSE),
}

GROUPS: Mapping[str, str] = MappingProxyType({letter: name for letter, (name, _) in _BY_LETTER.items()})
"""What each letter is about."""

CAUSES: Mapping[str, Cause] = MappingProxyType(
    {one.code: replace(one, prints=PRINTS.get(one.code, "")) for _, causes in _BY_LETTER.values() for one in causes}
)
"""Every cause by its code, in order."""

LEFT_OUT: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "G7": ("a state dict that was not copied and goes on changing, which one comparison cannot see", ("G5", "K2")),
    }
)
"""Codes that are known and have no entry: what they are about, why not, and the nearest that have one."""


def cause(code: str) -> Cause:
    """What is known of a code, whatever its case.

    Raises:
        InputError: there is no such code.
    """
    (found,) = causes_of([code])
    return found


def causes_of(codes: Sequence[str]) -> tuple[Cause, ...]:
    """What is known of some codes, each once, in the order they were asked for.

    Raises:
        InputError: some of them are unknown; all of these are named.
    """
    typed = {code.strip().upper(): code.strip() for code in codes}
    unknown = [name for name in typed if name not in CAUSES]
    if not unknown:
        return tuple(CAUSES[name] for name in typed)
    got = ", ".join(typed[name] or "an empty one" for name in unknown)
    near = ", ".join(dict.fromkeys(code for name in unknown for code in _near(name)))
    raise InputError(
        f"explain: no such code, got {got}, expected one such as {near}",
        notes=[f"{name} is {LEFT_OUT[name][0]}" for name in unknown if name in LEFT_OUT],
        help="layerdiff explain --list shows all of them",
    )


def _near(name: str) -> tuple[str, ...]:
    if name in LEFT_OUT:
        return LEFT_OUT[name][1]
    titled = tuple(code for code, one in CAUSES.items() if len(name) > 2 and name.lower() in one.title.lower())
    group = [code for code in CAUSES if code[0] == name[:1]]
    close = difflib.get_close_matches(name, group, n=3, cutoff=0) if name[1:].isdigit() else []
    return (titled or tuple(close) or ("A1", "C1"))[:3]
