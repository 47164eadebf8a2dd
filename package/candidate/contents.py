"""What a candidate's file holds, in words that help its author."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, Literal

from torch import nn

__all__ = [
    "Thing",
    "bare",
    "did_you_mean",
    "example_call",
    "is_network",
    "is_network_class",
    "listing",
    "signature_of",
    "things",
]

_MOST_LISTED = 12
_LONGEST = 120


@dataclass(frozen=True, eq=False)
class Thing:
    """One thing of a file that a network may come from."""

    name: str
    value: Any
    kind: Literal["network", "function", "class"]

    def __str__(self) -> str:
        text = self.name if self.kind == "network" else f"{self.name}{signature_of(self.value)}"
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def is_network(value: object) -> bool:
    """Whether it is a torch module, or has the interface of a NumPy network; a class is neither."""
    return not isinstance(value, type) and is_network_class(type(value))


def is_network_class(kind: type) -> bool:
    """Whether the instances of a class are networks."""
    # The class is asked: an object may claim to have any attribute.
    return issubclass(kind, nn.Module) or callable(getattr(kind, "named_layers", None))


def things(module: ModuleType) -> tuple[Thing, ...]:
    """The networks, functions and classes that were made in a module, in their order; private ones are left aside."""
    found = []
    for name, value in vars(module).items():
        kind = None if name.startswith("_") else _kind(value, module.__name__)
        if kind is not None:
            found.append(Thing(name, value, kind))
    return tuple(found)


def _kind(value: object, module: str) -> Literal["network", "function", "class"] | None:
    if isinstance(value, type):
        return "class" if value.__module__ == module else None
    if isinstance(value, FunctionType):
        return "function" if value.__module__ == module else None
    if isinstance(value, functools.partial):
        return "function"
    return "network" if is_network(value) else None


def bare(function: Any) -> bool:
    """Whether it can be called without arguments, as far as its signature tells."""
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def signature_of(function: Any) -> str:
    """The signature without annotations, such as `(block, layers, num_classes=1000)`."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def listing(module: ModuleType) -> list[str]:
    """Lines that say what is there."""
    found = things(module)
    if not found:
        return ["no function, class or network is made there"]
    lines = [f"there is {thing}" for thing in found[:_MOST_LISTED]]
    return lines + ([f"and {len(found) - _MOST_LISTED} more"] if len(found) > _MOST_LISTED else [])


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """The nearest of `names`, as advice; None where none is near."""
    known = {other.lower(): other for other in names if not other.startswith("_")}
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f"did you mean {known[near[0]]}?" if near else None


def example_call(name: str, function: Any) -> str:
    """A call with a placeholder for each argument that it must be given, such as `ResNet(BLOCK, LAYERS)`."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return f"{name}(...)"
    wanted = [
        f"{parameter.name}={parameter.name.upper()}"
        if parameter.kind is parameter.KEYWORD_ONLY
        else parameter.name.upper()
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    ]
    return f"{name}({', '.join(wanted)})"
